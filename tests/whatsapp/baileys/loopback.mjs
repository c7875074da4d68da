// What an unmodified client needs to meet the simulator on this machine, and nothing else. Outside the package, because the package
// is what is tested:
// - the root of WhatsApp's certificates vouches for the simulator's chain, of which the leaf is still checked;
// - `https` is `http` on 127.0.0.1, because the simulator's media host has no certificate. WhatsApp's media host, whose name stands in
//   the package for what has a path and no address (history and app state), is the simulator's. Every other host is refused.

import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { Curve, DEF_MEDIA_HOST, WA_CERT_DETAILS } from 'baileys'

const media = process.argv[3]

const verify = Curve.verify
Curve.verify = (key, message, signature) =>
  Buffer.compare(Buffer.from(key), WA_CERT_DETAILS.PUBLIC_KEY) === 0 || verify(key, message, signature)

const here = hostname => {
  if (hostname !== '127.0.0.1') throw new Error(`the client wanted to reach ${hostname}`)
}

https.request = (options, ...rest) => {
  here(options.hostname)
  return http.request(options, ...rest)
}
syncBuiltinESMExports()

const fetchAnything = globalThis.fetch
globalThis.fetch = async (resource, ...rest) => {
  const url = new URL(resource)
  if (url.host === DEF_MEDIA_HOST) url.host = media
  here(url.hostname)
  url.protocol = 'http:'
  return fetchAnything(url, ...rest)
}
