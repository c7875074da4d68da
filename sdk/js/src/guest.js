// The component's side: the world's imports as the SDK's host, and the two exports. pombo-build's module imports this
// first, so that clock, random numbers and console are the engine's before the automation's own modules are loaded.

import clock from "pombo:automation/clock@0.1.0";
import http from "pombo:automation/http@0.1.0";
import kv from "pombo:automation/kv@0.1.0";
import log from "pombo:automation/log@0.1.0";
import random from "pombo:automation/random@0.1.0";
import { shown } from "./turn.js";

/** While a component is built, its modules are loaded without a host: the clock then stands at 0 and random numbers repeat. */
let called = false;
let unseeded = 1;

const host = {
  log: (level, text) => log.log(level, text),
  now: () => Number(clock.nowMillis()),
  randomBytes: (length) => Uint8Array.from(random.bytes(length)),
  kvGet: (key) => kv.get(key),
  kvList: (prefix, after, limit) => kv.list(prefix, after, limit),
  httpSend: (request) => http.send(request),
};

const now = () => (called ? host.now() : 0);

const SystemDate = globalThis.Date;
globalThis.Date = new Proxy(SystemDate, {
  construct: (target, parts, made) => Reflect.construct(target, parts.length === 0 ? [now()] : parts, made),
  apply: () => new SystemDate(now()).toString(),
});
SystemDate.prototype.constructor = globalThis.Date;
SystemDate.now = now;

Math.random = () => {
  if (!called) {
    unseeded = (unseeded * 48271) % 2147483647;
    return unseeded / 2147483647;
  }
  const bytes = host.randomBytes(7);
  return bytes.slice(1).reduce((number, byte) => number * 256 + byte, bytes[0] & 0x1f) / 2 ** 53;
};

const print = (level) => (...parts) => {
  if (called) {
    host.log(level, parts.map(shown).join(" "));
  }
};
globalThis.console = {
  trace: print("trace"),
  debug: print("debug"),
  log: print("info"),
  info: print("info"),
  warn: print("warn"),
  error: print("error"),
};

/** The component's exports for an automation. */
export function component(automation) {
  if (typeof automation?.describe !== "function" || typeof automation?.handle !== "function") {
    throw new TypeError("the module's default export is not an automation: write `export default defineAutomation({ … })`");
  }
  return {
    describe() {
      return automation.describe();
    },
    handle(event, state) {
      called = true;
      try {
        return automation.handle(host, event, state);
      } catch (error) {
        if (error?.stack) {
          host.log("error", `${shown(error)}\n${error.stack}`);
        }
        throw shown(error);
      }
    },
  };
}
