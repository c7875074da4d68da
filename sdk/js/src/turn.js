// One event that is being handled: what the handler may read, and the actions it collects. No action is carried out before
// the handler has returned.

import { duration } from "./duration.js";
import { Http, Kv } from "./host.js";

const MIN_TIMER = 1_000;
const MAX_TIMER = 400 * 86_400_000;
const LEVELS = ["trace", "debug", "info", "warn", "error"];

export class Turn {
  #host;
  #observer;
  #message;
  #actions = [];
  #claimed = null;
  #found;
  #fresh;

  constructor(host, definition, event, state, argument) {
    const { conversation } = event;
    this.#host = host;
    this.#observer = definition.observer ?? false;
    this.#message = event.body.tag === "message-received" ? argument : null;
    this.#found = state;
    this.#fresh = JSON.stringify(definition.initialState ?? {});
    this.state = JSON.parse(state ?? this.#fresh);
    this.config = JSON.parse(event.config);
    this.event = { id: event.id, at: new Date(Number(event.atMillis)), attempt: event.attempt, kind: event.body.tag };
    this.conversation = {
      id: conversation.id,
      connector: conversation.connector,
      channel: conversation.channel,
      chat: conversation.chat,
      isGroup: conversation.isGroup,
      contactName: conversation.contactName ?? null,
      tags: [...conversation.tags],
      assignee: conversation.assignee ?? null,
      openedAt: new Date(Number(conversation.openedAtMillis)),
    };
    this.kv = new Kv(host, (action) => this.#actions.push(action));
    this.http = new Http(host);
    this.log = Object.fromEntries(LEVELS.map((level) => [level, (...parts) => host.log(level, parts.map(shown).join(" "))]));
  }

  get now() {
    return new Date(this.#host.now());
  }

  random() {
    const bytes = this.#host.randomBytes(7);
    let number = bytes[0] & 0x1f;
    for (let i = 1; i < 7; i += 1) {
      number = number * 256 + bytes[i];
    }
    return number / 2 ** 53;
  }

  randomBytes(length) {
    return this.#host.randomBytes(length);
  }

  reply(text, options) {
    if (typeof text !== "string" || text === "") {
      throw new TypeError("a reply must be a text that is not empty");
    }
    this.#send({ tag: "text", val: text }, options);
  }

  sendTemplate(text, variables, options) {
    this.#send({ tag: "template", val: { text, variables: json(variables ?? {}, "variables") } }, options);
  }

  sendFile(file, options = {}) {
    const source = typeof file === "string"
      ? { tag: "url", val: file }
      : { tag: "stored", val: { id: file.id, filename: file.filename, contentType: file.contentType, size: file.size } };
    const { caption, voiceNote, ...rest } = options;
    this.#send({ tag: "file", val: { file: source, caption: caption ?? null, voiceNote: voiceNote ?? false } }, rest);
  }

  react(emoji, message = this.#message) {
    if (!message) {
      throw new TypeError("say which message to react to: this event has none");
    }
    const target = typeof message === "string" ? { message, sender: null } : { message: message.id, sender: message.sender };
    this.#send({ tag: "reaction", val: { ...target, emoji } });
  }

  setTimer(name, delay, payload) {
    const delayMillis = duration(delay);
    if (delayMillis < MIN_TIMER || delayMillis > MAX_TIMER) {
      throw new RangeError("a timer must run from 1 second to 400 days");
    }
    this.#act("set-timer", { name, delayMillis, payload: json(payload ?? null, "payload") });
  }

  cancelTimer(name) {
    this.#act("cancel-timer", name);
  }

  tag(tag) {
    this.#act("add-tag", tag);
    if (!this.conversation.tags.includes(tag)) {
      this.conversation.tags.push(tag);
      this.conversation.tags.sort();
    }
  }

  untag(tag) {
    this.#act("remove-tag", tag);
    this.conversation.tags = this.conversation.tags.filter((other) => other !== tag);
  }

  updateContact({ name, active }) {
    this.#act("update-contact", { name: name ?? null, active: active ?? null });
  }

  handOver(reason) {
    this.#notAnObserver("hand a conversation over");
    this.#act("hand-over", reason);
  }

  assign(assignee) {
    this.#notAnObserver("assign a conversation");
    this.#act("assign", assignee);
    this.conversation.assignee = assignee;
  }

  emit(kind, data) {
    this.#act("emit", { kind, json: json(data ?? null, "data") });
  }

  markRead() {
    this.#actions.push({ tag: "mark-read" });
  }

  claim() {
    this.#claimed = true;
  }

  pass() {
    this.#claimed = false;
  }

  /** The handler's result, in the world's shape `outcome`. */
  outcome() {
    const state = this.state === undefined || this.state === null ? null : JSON.stringify(this.state);
    const answered = this.#actions.some(({ tag }) => tag === "send" || tag === "hand-over");
    return {
      state: this.#found === null && state === this.#fresh ? null : (state ?? null),
      actions: this.#actions,
      claim: this.#claimed ?? answered,
    };
  }

  #send(content, { replyTo, quote, delay, label } = {}) {
    this.#notAnObserver("send");
    if (quote && !this.#message) {
      throw new TypeError("there is no message to quote in this event; give replyTo instead");
    }
    this.#act("send", {
      content,
      replyTo: replyTo ?? (quote ? this.#message.id : null),
      delayMillis: delay === undefined ? 0 : duration(delay),
      label: label ?? null,
    });
  }

  #act(tag, val) {
    this.#actions.push({ tag, val });
  }

  #notAnObserver(what) {
    if (this.#observer) {
      throw new TypeError(`an observer may not ${what}`);
    }
  }
}

function json(value, what) {
  const text = JSON.stringify(value);
  if (text === undefined) {
    throw new TypeError(`the ${what} cannot be written as JSON`);
  }
  return text;
}

/** A value as text for a log line. */
export function shown(value) {
  if (typeof value === "string") {
    return value;
  }
  if (value instanceof Error) {
    return `${value.name}: ${value.message}`;
  }
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
