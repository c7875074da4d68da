// The test kit: a conversation with an automation in Node, by the engine's rules, on a clock that only the script
// advances. Inputs and
// answers pass through the world's shapes and JSON, as in the component.

import { createRandom } from "./random.js";
import { createHttp } from "./http.js";
import { Store } from "./store.js";
import { duration } from "../duration.js";

const FIRST = Date.UTC(2026, 0, 5, 12);
const MAX_TAGS = 50;

/** See `index.d.ts`. */
export function script(automation, options = {}) {
  return new Script(automation, options);
}

class Script {
  sent = [];
  emitted = [];
  contact = {};
  log = [];
  requests = [];
  markedRead = false;
  claimed = null;
  handedOver = null;

  #automation;
  #description;
  #config;
  #conversation;
  #host;
  #now;
  #state = null;
  #store;
  #timers = new Map();
  #set = 0;
  #opened = false;
  #events = 0;
  #failed = null;
  #held = [];

  constructor(automation, options) {
    const { config = {}, now = FIRST, seed = 1, kv = {}, http } = options;
    this.#automation = automation;
    this.#description = automation.describe();
    const secrets = this.#description.secretFields;
    this.#config = JSON.stringify(Object.fromEntries(Object.entries(config).filter(([field]) => !secrets.includes(field))));
    this.#now = new Date(now).getTime();
    this.#conversation = {
      id: "00000000-0000-4000-8000-00000000c0de",
      connector: "00000000-0000-4000-8000-00000000c044",
      channel: options.channel ?? "whatsapp",
      chat: options.chat ?? "+15550100",
      isGroup: options.isGroup ?? false,
      contactName: options.contactName ?? null,
      tags: [...(options.tags ?? [])].sort(),
      assignee: options.assignee ?? null,
      openedAtMillis: this.#now,
    };
    this.#store = new Store(kv, this.#description.wants.kvBytes);
    const random = createRandom(seed);
    const ask = createHttp({ hosts: this.#description.wants.hosts, secrets, config, http, requests: this.requests });
    this.#host = {
      log: (level, text) => this.log.push({ level, text }),
      now: () => this.#now,
      randomBytes: (length) => random(Math.min(length, 65_536)),
      kvGet: (key) => this.#store.get(key),
      kvList: (prefix, after, limit) => this.#store.list(prefix, after, limit),
      httpSend: ask,
    };
  }

  get texts() {
    return this.sent.map(({ text, template, caption }) => text ?? template ?? caption).filter((text) => text !== undefined);
  }
  get state() {
    return this.#state === null ? null : JSON.parse(this.#state);
  }
  get tags() {
    return [...this.#conversation.tags];
  }
  get assignee() {
    return this.#conversation.assignee;
  }
  get timers() {
    return Object.fromEntries([...this.#timers].map(([name, { due }]) => [name, new Date(due)]));
  }
  get kv() {
    return this.#store.contents();
  }
  get now() {
    return new Date(this.#now);
  }

  says(text, message = {}) {
    return this.#message(text, message.content ?? { kind: "text", text }, message);
  }
  sends(content, message = {}) {
    const text = content.kind === "text" || content.kind === "edit" ? content.text : (content.attachment?.caption ?? "");
    return this.#message(text, content, message);
  }
  reacts(emoji, message, sender = this.#conversation.chat) {
    return this.#deliver({ tag: "reaction", val: { message, sender, emoji } });
  }
  status(label, status, reason = null) {
    const message = this.sent.findIndex((sent) => (sent.label ?? null) === label);
    if (message < 0) {
      throw new Error(`no message with the label ${JSON.stringify(label)} was sent`);
    }
    return this.#deliver({ tag: "status-changed", val: { message: `sent-${message + 1}`, label, status, reason } });
  }
  starts(input = null, by = "user:test") {
    return this.#deliver({ tag: "started", val: { input: JSON.stringify(input), by } });
  }
  calls(body, contentType = "application/json") {
    return this.#deliver({ tag: "webhook-called", val: { contentType, body: typeof body === "string" ? body : JSON.stringify(body) } });
  }

  retry() {
    if (!this.#failed) {
      throw new Error("no event failed");
    }
    const { event, attempt } = this.#failed;
    return this.#handle(event, attempt + 1);
  }

  advance(length) {
    const until = this.#now + duration(length);
    for (;;) {
      const next = [...this.#timers.values()].filter(({ due }) => due <= until)
        .sort((one, other) => one.due - other.due || one.number - other.number)[0];
      if (!next) {
        break;
      }
      this.#now = Math.max(this.#now, next.due);
      this.#timers.delete(next.name);
      this.#deliver({ tag: "timer-fired", val: { name: next.name, payload: next.payload, dueAtMillis: next.due } });
    }
    this.#now = until;
    return this;
  }

  pause(reason = "a person took over") {
    this.handedOver ??= reason;
    return this;
  }
  resume() {
    this.handedOver = null;
    const held = this.#held;
    this.#held = [];
    for (const body of held) {
      this.#deliver(body);
    }
    return this;
  }

  #message(text, content, { id, sender, senderName, replyTo, mentions }) {
    return this.#deliver({
      tag: "message-received",
      val: {
        id: id ?? `received-${this.#events + 1}`,
        sender: sender ?? this.#conversation.chat,
        senderName: senderName ?? this.#conversation.contactName,
        text,
        content: written(content),
        replyTo: replyTo ?? null,
        mentions: mentions ?? [],
        sentAtMillis: this.#now,
      },
    });
  }

  /** An event happens. The automation gets it unless a person has taken over or it does not listen to this kind of event. */
  #deliver(body) {
    if (!this.#opened) {
      this.#opened = true;
      this.#deliver({ tag: "conversation-opened" });
    }
    this.claimed = null;
    if (!this.#description.events.includes(body.tag)) {
      return this;
    }
    if (this.handedOver !== null && !this.#description.observer) {
      if (body.tag === "timer-fired") {
        this.#held.push(body);
      }
      return this;
    }
    this.#events += 1;
    const id = `00000000-0000-4000-8000-${String(this.#events).padStart(12, "0")}`;
    return this.#handle({ id, atMillis: this.#now, body }, 1);
  }

  #handle(event, attempt) {
    const given = { ...event, attempt, conversation: structuredClone(this.#conversation), config: this.#config };
    this.#failed = { event, attempt };
    const { state, actions, claim } = structuredClone(this.#automation.handle(this.#host, given, this.#state));
    this.#store.check(actions);
    // From here on nothing throws, so either all of it is done or, if the code above threw, none.
    this.#failed = null;
    this.#state = state;
    this.claimed = this.#description.observer ? false : claim;
    for (const action of actions) {
      this.#carryOut(action);
    }
    return this;
  }

  #carryOut({ tag, val }) {
    const conversation = this.#conversation;
    switch (tag) {
      case "send":
        return void this.sent.push(sentAs(val));
      case "write-kv":
        return this.#store.write(val.key, val.value);
      case "set-timer":
        this.#set += 1;
        this.#forget(val.name);
        return void this.#timers.set(val.name, { name: val.name, payload: val.payload, due: this.#now + val.delayMillis, number: this.#set });
      case "cancel-timer":
        return this.#forget(val);
      case "add-tag":
        if (!conversation.tags.includes(val) && conversation.tags.length < MAX_TAGS) {
          conversation.tags = [...conversation.tags, val].sort();
        }
        return undefined;
      case "remove-tag":
        conversation.tags = conversation.tags.filter((other) => other !== val);
        return undefined;
      case "update-contact":
        return void Object.assign(this.contact, val.name === null ? {} : { name: val.name }, val.active === null ? {} : { active: val.active });
      case "hand-over":
        return void this.pause(val);
      case "assign":
        conversation.assignee = val;
        return undefined;
      case "emit":
        return void this.emitted.push({ kind: val.kind, data: JSON.parse(val.json) });
      case "mark-read":
        this.markedRead = true;
        return undefined;
      default:
        throw new Error(`the test kit does not know the action ${tag}`);
    }
  }

  /** A timer's name stands for one timer, even while the timer is held. */
  #forget(name) {
    this.#timers.delete(name);
    this.#held = this.#held.filter(({ val }) => val.name !== name);
  }
}

/** Removes the fields that were not given, as `Sent` has it. */
function sentAs({ content: { tag, val }, replyTo, delayMillis, label }) {
  const contents = {
    text: () => ({ text: val }),
    template: () => ({ template: val.text, variables: JSON.parse(val.variables) }),
    file: () => ({ file: val.file.val, ...(val.caption === null ? {} : { caption: val.caption }), ...(val.voiceNote ? { voiceNote: true } : {}) }),
    reaction: () => ({ reaction: val.emoji, message: val.message }),
  };
  return {
    ...contents[tag](),
    ...(replyTo === null ? {} : { replyTo }),
    ...(label === null ? {} : { label }),
    ...(delayMillis === 0 ? {} : { delay: delayMillis }),
  };
}

/** Content in the world's shape. */
function written(content) {
  switch (content.kind) {
    case "text":
      return { tag: "text", val: content.text };
    case "attachment":
      return { tag: "attachment", val: content.attachment };
    case "location":
      return {
        tag: "location",
        val: { latitude: String(content.latitude), longitude: String(content.longitude), name: content.name ?? null },
      };
    case "edit":
      return { tag: "edit", val: { message: content.message, text: content.text } };
    case "deleted":
      return { tag: "deleted", val: content.message };
    default:
      return { tag: "other", val: { kind: content.type, json: JSON.stringify(content.data) } };
  }
}
