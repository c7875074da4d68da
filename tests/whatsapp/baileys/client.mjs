// Baileys behind lines of JSON: a test writes commands to its standard input and reads answers and events from its standard output.
// A command is `{"id": 1, "do": "text", …}`, its answer `{"id": 1, "ok": …}` or `{"id": 1, "error": "…"}`; whatever else comes is
// `{"event": "…", …}`. It ends when its standard input does.

import './loopback.mjs'

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import makeWASocket, { BufferJSON, DisconnectReason, downloadMediaMessage, initAuthCreds, proto } from 'baileys'
import pino from 'pino'

const [url] = process.argv.slice(2)
const logger = pino({ level: process.env.BAILEYS_LOG ?? 'silent' }, pino.destination(2))
const say = line => process.stdout.write(`${JSON.stringify(line)}\n`)

// What the client stores, in memory: it survives its connections, not its process.
const creds = initAuthCreds()
const stored = new Map()
const keys = {
  get: (type, ids) => {
    const found = {}
    for (const id of ids) {
      const value = stored.get(`${type}/${id}`)
      if (value === undefined) continue
      const plain = JSON.parse(value, BufferJSON.reviver)
      found[id] = type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(plain) : plain
    }
    return found
  },
  set: data => {
    for (const [type, values] of Object.entries(data)) {
      for (const [id, value] of Object.entries(values)) {
        if (value) stored.set(`${type}/${id}`, JSON.stringify(value, BufferJSON.replacer))
        else stored.delete(`${type}/${id}`)
      }
    }
  }
}

// Every message that came or went, by its id: to answer, to download, and to send again to who could not decrypt it.
const messages = new Map()
let socket

const plain = message =>
  message && proto.Message.toObject(proto.Message.fromObject(message), { longs: String, enums: String, bytes: String })

// What happens to a message while Baileys still holds back its event becomes part of that event: its status, for one.
const shown = ({ key, message, pushName, messageTimestamp, messageStubType, status }) => ({
  key,
  pushName,
  status,
  at: Number(messageTimestamp ?? 0),
  stub: messageStubType,
  content: plain(message)
})

const known = id => {
  const message = messages.get(id)
  if (!message) throw new Error(`no message ${id}`)
  return message
}

function connect() {
  socket = makeWASocket({
    waWebSocketUrl: url,
    auth: { creds, keys },
    logger,
    // What the server sends must be right to the last byte.
    appStateMacVerification: { patch: true, snapshot: true },
    getMessage: async key => messages.get(key.id)?.message
  })
  const { ev } = socket
  ev.on('creds.update', update => Object.assign(creds, update))
  ev.on('connection.update', update => {
    const { qr, connection, lastDisconnect, isNewLogin, reachoutTimeLock } = update
    if (qr) say({ event: 'qr', qr })
    if (isNewLogin) say({ event: 'paired' })
    if (reachoutTimeLock) say({ event: 'timelock', ...reachoutTimeLock })
    if (connection === 'open') say({ event: 'open', me: creds.me })
    if (connection === 'close') {
      const code = lastDisconnect?.error?.output?.statusCode
      say({ event: 'close', code, why: String(lastDisconnect?.error?.message) })
      // A server that is away for a moment is not asked without a pause.
      if (code !== DisconnectReason.loggedOut && code !== DisconnectReason.connectionReplaced) setTimeout(connect, 100)
    }
  })
  ev.on('messages.upsert', ({ messages: all, type }) => {
    for (const message of all) {
      if (message.message) messages.set(message.key.id, message)
      say({ event: 'message', type, ...shown(message) })
    }
  })
  ev.on('messages.update', updates => {
    for (const { key, update } of updates) {
      say({ event: 'update', key, status: update.status, stub: update.messageStubType, content: plain(update.message) })
    }
  })
  ev.on('messages.reaction', all => {
    for (const { key, reaction } of all) say({ event: 'reaction', key, emoji: reaction.text ?? '' })
  })
  ev.on('message-receipt.update', all => {
    for (const { key, receipt } of all) say({ event: 'receipt', key, receipt })
  })
  ev.on('messaging-history.set', ({ chats, contacts, messages: all, syncType }) => {
    for (const message of all) messages.set(message.key.id, message)
    say({ event: 'history', kind: syncType, chats: chats.length, contacts: contacts.length, ids: all.map(m => m.key.id) })
  })
  ev.on('groups.upsert', all => all.forEach(group => say({ event: 'group', id: group.id, subject: group.subject })))
  ev.on('groups.update', all => all.forEach(update => say({ event: 'group-update', ...update })))
  ev.on('group-participants.update', update => say({ event: 'participants', ...update }))
  ev.on('presence.update', update => say({ event: 'presence', ...update }))
  ev.on('call', all => all.forEach(({ id, from, status, isVideo }) => say({ event: 'call', call: id, from, status, isVideo })))
  ev.on('message-capping.update', update => say({ event: 'capping', ...update }))
  ev.on('contacts.update', all => all.forEach(update => say({ event: 'contact', ...update })))
  ev.on('blocklist.update', update => say({ event: 'blocklist', ...update }))
}

const sent = async (to, content, options) => {
  const message = await socket.sendMessage(to, content, options)
  messages.set(message.key.id, message)
  return { id: message.key.id }
}

const commands = {
  code: async ({ phone }) => ({ code: await socket.requestPairingCode(phone) }),
  text: ({ to, text, quote, mentions }) => sent(to, { text, mentions }, quote ? { quoted: known(quote) } : {}),
  react: ({ of, emoji }) => sent(known(of).key.remoteJid, { react: { text: emoji, key: known(of).key } }),
  edit: ({ of, text }) => sent(known(of).key.remoteJid, { text, edit: known(of).key }),
  delete: ({ of }) => sent(known(of).key.remoteJid, { delete: known(of).key }),
  // A thumbnail and a duration are given, because making them needs packages that Baileys leaves to its users.
  media: ({ to, kind, base64, ...further }) =>
    sent(to, { [kind]: Buffer.from(base64, 'base64'), jpegThumbnail: '', seconds: 3, waveform: new Uint8Array(64), ...further }),
  download: async ({ of }) => {
    const bytes = await downloadMediaMessage(known(of), 'buffer', {}, { logger, reuploadRequest: socket.updateMediaMessage })
    return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  },
  read: async ({ of }) => void (await socket.readMessages([known(of).key])),
  typing: async ({ to, state }) => void (await socket.sendPresenceUpdate(state, to)),
  subscribe: async ({ to }) => void (await socket.presenceSubscribe(to)),
  find: ({ phone }) => socket.onWhatsApp(phone),
  'group-create': ({ subject, members }) => socket.groupCreate(subject, members),
  'group-members': ({ group, members, action }) => socket.groupParticipantsUpdate(group, members, action),
  'group-subject': async ({ group, subject }) => void (await socket.groupUpdateSubject(group, subject)),
  'group-show': ({ group }) => socket.groupMetadata(group),
  'group-leave': async ({ group }) => void (await socket.groupLeave(group)),
  logout: async () => void (await socket.logout())
}

connect()
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: what, ...given } = JSON.parse(line)
  // Commands run side by side, as in an application.
  Promise.resolve()
    .then(() => commands[what](given))
    .then(ok => say({ id, ok: ok ?? null }))
    .catch(error => say({ id, error: String(error?.stack ?? error) }))
}
process.exit(0)
