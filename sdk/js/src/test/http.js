// The test kit's servers: hosts are checked against what the automation asks for, secrets are inserted, and a function answers.

import { createHmac } from "node:crypto";
import { HttpError } from "../host.js";

export function createHttp({ hosts, secrets, config, http, requests }) {
  const refuse = (detail) => {
    throw { tag: "refused", val: detail };
  };
  const secret = (name) => (secrets.includes(name) && typeof config[name] === "string" ? config[name] : refuse(`there is no secret ${name}`));
  const filled = (text) => text.replace(/\{\{secret:([^}]+)\}\}/g, (_, name) => secret(name));

  return ({ method, url, headers, body }) => {
    let target;
    try {
      target = new URL(url);
    } catch {
      throw { tag: "invalid", val: `${url} is not a URL` };
    }
    if (!hosts.some((wanted) => covers(wanted, target, config))) {
      refuse(`the host ${target.host} is not among wants.hosts`);
    }
    const text = Buffer.from(body ?? []).toString();
    if (headers.some(({ value }) => value.includes("{{secret:")) && target.protocol !== "https:") {
      refuse("a secret is sent over https only");
    }
    const seen = { method, url, headers: {}, body: text, json: () => JSON.parse(text) };
    for (const { name, value } of headers) {
      const signed = /^\{\{hmac-sha256:([^}]+)\}\}$/.exec(value);
      seen.headers[name.toLowerCase()] = signed ? createHmac("sha256", secret(signed[1])).update(text).digest("hex") : filled(value);
    }
    requests.push({ method, url, headers: seen.headers, body: text });
    const answer = answerOf(http, seen);
    const bytes = answer.body instanceof Uint8Array ? answer.body
      : Buffer.from(typeof answer.body === "object" ? JSON.stringify(answer.body) : (answer.body ?? ""));
    return {
      status: answer.status ?? 200,
      headers: Object.entries(answer.headers ?? {}).map(([name, value]) => ({ name, value })),
      body: Uint8Array.from(bytes),
    };
  };
}

function answerOf(http, request) {
  let answer;
  try {
    answer = http?.(request);
  } catch (error) {
    throw error instanceof HttpError ? { tag: error.kind, val: error.message } : error;
  }
  if (answer === undefined) {
    throw new Error(`the script has no answer to ${request.method} ${request.url}: give script(automation, { http: (request) => … })`);
  }
  return answer;
}

/** Whether an entry of `wants.hosts` allows this target, by the engine's rules. */
function covers(wanted, target, config) {
  let pattern = wanted;
  if (!wanted.startsWith("=")) {
    const value = wanted.split(".").reduce((part, field) => part?.[field], config);
    if (typeof value !== "string") {
      return false;
    }
    pattern = `=${value.includes("://") ? new URL(value).host : value}`;
  }
  const [host, port] = pattern.slice(1).toLowerCase().split(":");
  const there = target.hostname.toLowerCase();
  const matches = host.startsWith("*.") ? there.endsWith(host.slice(1)) : there === host;
  return matches && (port === undefined || port === (target.port || { "https:": "443", "http:": "80" }[target.protocol]));
}
