// The module that authors import. It runs in the component and, under the test kit, in Node, so it must not import what
// only one of them has. The host is passed to it.

import { Turn } from "./turn.js";
import { HANDLERS, readEvent } from "./events.js";

export { HttpError, KvError } from "./host.js";
export { duration } from "./duration.js";

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const SEMVER = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** Checks a definition and makes it callable. See `index.d.ts` for its fields. */
export function defineAutomation(definition) {
  if (!NAME.test(definition.name ?? "")) {
    throw new TypeError(`an automation's name consists of lower-case words joined by dashes, for example "acme-orders", not ${JSON.stringify(definition.name)}`);
  }
  if (!SEMVER.test(definition.version ?? "")) {
    throw new TypeError(`an automation's version is a semantic version, for example "0.1.0", not ${JSON.stringify(definition.version)}`);
  }
  for (const key of Object.keys(definition)) {
    if (/^on[A-Z]/.test(key) && !(key in HANDLERS)) {
      throw new TypeError(`there is no event ${key}; there are ${Object.keys(HANDLERS).join(", ")}`);
    }
  }
  const handled = Object.keys(HANDLERS).filter((name) => typeof definition[name] === "function");
  const events = definition.events ?? handled.map((name) => HANDLERS[name]);
  if (events.length === 0) {
    throw new TypeError("an automation handles at least one event: give it onMessage or another handler");
  }
  for (const event of events) {
    if (!handled.some((name) => HANDLERS[name] === event)) {
      throw new TypeError(`it lists the event ${event} but has no handler for it`);
    }
  }
  return new Automation(definition, events);
}

/** A checked definition, which the component's two exports call. */
class Automation {
  #definition;
  #events;

  constructor(definition, events) {
    this.#definition = definition;
    this.#events = events;
  }

  /** The automation's description, in the world's shape `description`. */
  describe() {
    const { name, version, displayName, configSchema, secretFields, observer, wants } = this.#definition;
    return {
      name,
      version,
      displayName: displayName ?? name,
      configSchema: JSON.stringify(configSchema ?? { type: "object" }),
      secretFields: secretFields ?? [],
      events: this.#events,
      observer: observer ?? false,
      wants: {
        hosts: wants?.hosts ?? [],
        kvBytes: wants?.kvBytes ?? 0,
        cpuMillis: wants?.cpuMillis ?? 0,
        memoryBytes: wants?.memoryBytes ?? 0,
        eventsPerMinute: wants?.eventsPerMinute ?? 0,
      },
    };
  }

  /**
   * Handles an event in the world's shape `event`; returns the world's shape `outcome`, or throws what the handler threw. An event
   * without a handler changes nothing, and later automations are asked.
   */
  handle(host, event, state) {
    const { handler, argument } = readEvent(event);
    const turn = new Turn(host, this.#definition, event, state ?? null, argument);
    const handle = handler && this.#definition[handler];
    if (handle) {
      const returned = argument === undefined ? handle.call(this.#definition, turn) : handle.call(this.#definition, turn, argument);
      if (typeof returned?.then === "function") {
        throw new TypeError(`${handler} is asynchronous, but handlers must be ordinary functions: leave out async and await (turn.http.send and turn.kv block by themselves)`);
      }
    }
    return turn.outcome();
  }
}
