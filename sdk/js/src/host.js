// The engine's key/value store and HTTP client, as a turn offers them.

import { parse } from "./events.js";
import { decode, encode } from "./utf8.js";
import { duration } from "./duration.js";

const MAX_KEY = 512;
const MAX_VALUE = 1 << 20;

/** The key/value store did not answer. `kind` is `refused` or `unavailable`. */
export class KvError extends Error {
  constructor(kind, detail) {
    super(`the key/value store answered ${kind}: ${detail}`);
    this.name = "KvError";
    this.kind = kind;
  }
}

/** A request got no response. `kind` is `refused`, `invalid`, `not-connected`, `interrupted` or `too-large`. */
export class HttpError extends Error {
  constructor(kind, detail) {
    super(`the request failed (${kind}): ${detail}`);
    this.name = "HttpError";
    this.kind = kind;
  }
}

/** Calls the host, which throws a case of the world's error variant. */
function ask(question, Failure) {
  try {
    return question();
  } catch (error) {
    const variant = typeof error?.tag === "string" ? error : error?.payload;
    throw typeof variant?.tag === "string" ? new Failure(variant.tag, String(variant.val)) : error;
  }
}

/** Values are JSON. Reads see the writes of the same turn. */
export class Kv {
  #host;
  #act;
  #written = new Map();

  constructor(host, act) {
    this.#host = host;
    this.#act = act;
  }

  get(key) {
    const text = this.#written.has(key) ? this.#written.get(key) : ask(() => this.#host.kvGet(key), KvError);
    return text === null || text === undefined ? undefined : parse(text);
  }

  list(prefix = "", { after = null, limit = 256 } = {}) {
    const wanted = Math.min(limit, 256);
    const touched = [...this.#written.keys()].filter((key) => key.startsWith(prefix) && (after === null || before(after, key)));
    const found = new Map();
    // Keys deleted in this turn leave gaps, so that many more entries are requested.
    let from = after;
    for (;;) {
      const page = ask(() => this.#host.kvList(prefix, from, 256), KvError);
      for (const { key, value } of page) {
        if (!this.#written.has(key)) {
          found.set(key, value);
        }
      }
      if (page.length < 256 || found.size >= wanted) {
        break;
      }
      from = page[page.length - 1].key;
    }
    for (const key of touched) {
      if (this.#written.get(key) !== null) {
        found.set(key, this.#written.get(key));
      }
    }
    return [...found]
      .sort(([one], [other]) => (before(one, other) ? -1 : 1))
      .slice(0, wanted)
      .map(([key, value]) => ({ key, value: parse(value) }));
  }

  set(key, value) {
    const text = JSON.stringify(value);
    if (text === undefined) {
      throw new TypeError(`the value of ${JSON.stringify(key)} is not JSON; to delete the key, call turn.kv.delete`);
    }
    if (encode(text).length > MAX_VALUE) {
      throw new RangeError(`the value of ${JSON.stringify(key)} is larger than 1 MiB`);
    }
    this.#write(key, text);
  }

  delete(key) {
    this.#write(key, null);
  }

  #write(key, text) {
    if (typeof key !== "string" || key === "" || encode(key).length > MAX_KEY) {
      throw new RangeError("a key is a text of 1 to 512 bytes");
    }
    this.#written.set(key, text);
    this.#act({ tag: "write-kv", val: { key, value: text } });
  }
}

/** Byte order of UTF-8, which is the order of code points. */
function before(one, other) {
  const [a, b] = [encode(one), encode(other)];
  for (let i = 0; i < a.length && i < b.length; i += 1) {
    if (a[i] !== b[i]) {
      return a[i] < b[i];
    }
  }
  return a.length < b.length;
}

/** Requests to granted hosts. */
export class Http {
  #host;

  constructor(host) {
    this.#host = host;
  }

  send({ method, url, headers, body, timeout }) {
    const wanted = Object.entries(headers ?? {}).map(([name, value]) => ({ name, value: String(value) }));
    let bytes = null;
    if (body instanceof Uint8Array) {
      bytes = body;
    } else if (typeof body === "string") {
      bytes = encode(body);
    } else if (body !== undefined && body !== null) {
      bytes = encode(JSON.stringify(body));
      if (!wanted.some(({ name }) => name.toLowerCase() === "content-type")) {
        wanted.push({ name: "content-type", value: "application/json" });
      }
    }
    const request = {
      method: (method ?? (bytes ? "POST" : "GET")).toUpperCase(),
      url,
      headers: wanted,
      body: bytes,
      timeoutMillis: timeout === undefined ? null : duration(timeout),
    };
    return new Response(ask(() => this.#host.httpSend(request), HttpError));
  }
}

class Response {
  constructor({ status, headers, body }) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = {};
    for (const { name, value } of headers) {
      const key = name.toLowerCase();
      this.headers[key] = key in this.headers ? `${this.headers[key]}, ${value}` : value;
    }
    this.body = body instanceof Uint8Array ? body : Uint8Array.from(body);
  }
  text() {
    return decode(this.body);
  }
  json() {
    return JSON.parse(this.text());
  }
}
