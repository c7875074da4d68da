/** What an automation can be called for. */
export type EventKind =
  | "message-received"
  | "status-changed"
  | "reaction"
  | "conversation-opened"
  | "timer-fired"
  | "started"
  | "webhook-called";

/** Anything that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

/** A length of time: milliseconds, or for example `{ days: 3, hours: 2 }`. */
export type Duration =
  | number
  | { weeks?: number; days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number };

/** In milliseconds. */
export function duration(length: Duration): number;

/** What it needs beyond being called. Shown to whoever installs it, and given only when granted. */
export interface Wants {
  /** Servers for `turn.http`: `=host`, `=host:port`, `=*.suffix`, or the dotted path of a configuration field that holds one. */
  hosts?: string[];
  /** Bytes in its key/value store. */
  kvBytes?: number;
  /** Processor time of one call; the engine's default when absent. */
  cpuMillis?: number;
  /** Memory of one call; the engine's default when absent. */
  memoryBytes?: number;
  /** The engine's default when absent. More events wait. */
  eventsPerMinute?: number;
}

/** A handler answers at once: it is not asynchronous, and neither are `turn.http` and `turn.kv`. */
type Handled = void | undefined;

/** An automation: what it says of itself, and what it does. It is called for the events that it has a handler for. */
export interface Definition<Config, State> {
  /** Lower-case words with dashes between, unique in the engine. */
  name: string;
  /** A semantic version. */
  version: string;
  /** For people; its name when absent. */
  displayName?: string;
  /** A JSON Schema (2020-12) of the configuration. */
  configSchema?: { [keyword: string]: Json };
  /** Top-level fields of the configuration that are secret: never in `turn.config`, see `turn.http`. */
  secretFields?: string[];
  /** Fewer events than it has handlers for. */
  events?: EventKind[];
  /** Only watches: gets every event whoever claims it, and may not send, hand over or assign. */
  observer?: boolean;
  /** What it needs beyond being called. */
  wants?: Wants;
  /** The state of a conversation that has none yet; `{}` when absent. */
  initialState?: State;

  /** Somebody wrote. */
  onMessage?(turn: Turn<Config, State>, message: Message): Handled;
  /** A message that it sent made a step. */
  onStatus?(turn: Turn<Config, State>, change: StatusChange): Handled;
  /** Somebody reacted to a message. */
  onReaction?(turn: Turn<Config, State>, reaction: Reaction): Handled;
  /** The first event of the conversation comes next. */
  onOpened?(turn: Turn<Config, State>): Handled;
  /** A timer that it set has run out. */
  onTimer?(turn: Turn<Config, State>, timer: Timer): Handled;
  /** Somebody started it by hand. */
  onStarted?(turn: Turn<Config, State>, start: Start): Handled;
  /** Its webhook was called. */
  onWebhook?(turn: Turn<Config, State>, call: WebhookCall): Handled;
}

/** The default export of an automation's module. */
export interface Automation<Config = unknown, State = unknown> {
  /** In the shape of the world's `description`. */
  describe(): object;
  /** In the shapes of the world's `event` and `outcome`. */
  handle(host: object, event: object, state: string | null): object;
  /** Only there for the types. */
  readonly __types?: (config: Config) => State;
}

/** Checks a definition and makes it callable. */
export function defineAutomation<Config = { [field: string]: Json }, State = { [field: string]: Json }>(
  definition: Definition<Config, State>,
): Automation<Config, State>;

/** A message that was received. */
export interface Message {
  /** The channel's id for it. */
  readonly id: string;
  readonly sender: string;
  readonly senderName: string | null;
  /** Its text, or its caption, or nothing. */
  readonly text: string;
  readonly content: Content;
  /** The channel's id of the message it answers. */
  readonly replyTo: string | null;
  readonly mentions: readonly string[];
  readonly sentAt: Date;
}

/** What a message holds. */
export type Content =
  | { kind: "text"; text: string }
  | { kind: "attachment"; attachment: Attachment }
  | { kind: "location"; latitude: number; longitude: number; name: string | null }
  /** A new text for an earlier message of the same sender. */
  | { kind: "edit"; message: string; text: string }
  /** The message was deleted for everyone. */
  | { kind: "deleted"; message: string }
  | { kind: "other"; type: string; data: Json };

/** A file in a message. */
export interface Attachment {
  kind: "image" | "video" | "audio" | "voice" | "document" | "sticker";
  /** Null while the file is still being fetched, or when it cannot be had. */
  file: StoredFile | null;
  caption: string | null;
}

/** A file that the engine has. */
export interface StoredFile {
  id: string;
  filename: string;
  contentType: string;
  size: number;
}

/** A step of a message that the automation sent. */
export interface StatusChange {
  /** The engine's id for the message. */
  readonly message: string;
  /** As given when it was sent. */
  readonly label: string | null;
  readonly status: "sent" | "delivered" | "read" | "played" | "failed" | "unknown" | "canceled";
  readonly reason: string | null;
}

/** A reaction that was received. */
export interface Reaction {
  /** The channel's id of the message. */
  readonly message: string;
  readonly sender: string;
  /** Empty: it was taken back. */
  readonly emoji: string;
}

/** A timer that ran out. */
export interface Timer {
  readonly name: string;
  /** As given to `turn.setTimer`. */
  readonly payload: any;
  readonly dueAt: Date;
}

/** A start by hand. */
export interface Start {
  /** The JSON that was given. */
  readonly input: any;
  /** Who. */
  readonly by: string;
}

/** A call of the automation's webhook. */
export interface WebhookCall {
  readonly contentType: string;
  readonly body: string;
  /** The body read as JSON; throws when it is none. */
  json(): any;
}

/** How a message is sent. */
export interface SendOptions {
  /** Answers the message that is being handled, quoting it. */
  quote?: boolean;
  /** The channel's id of the message it answers. */
  replyTo?: string;
  /** Sent after this time. */
  delay?: Duration;
  /** Given back in `onStatus`. */
  label?: string;
}

/** One event being handled. What it collects is done, all or nothing, once the handler has returned. */
export interface Turn<Config = { [field: string]: Json }, State = { [field: string]: Json }> {
  /** What is kept for this conversation, as JSON. Change it or put another in its place; null forgets it. */
  state: State;
  /** The automation's configuration, without its secrets. */
  readonly config: Config;
  readonly event: {
    /** Stable across retries. */
    readonly id: string;
    readonly at: Date;
    /** From 1. */
    readonly attempt: number;
    readonly kind: EventKind;
  };
  readonly conversation: {
    readonly id: string;
    readonly connector: string;
    /** `whatsapp`, `email` … */
    readonly channel: string;
    /** The other side's address, or the group's. */
    readonly chat: string;
    readonly isGroup: boolean;
    readonly contactName: string | null;
    readonly tags: readonly string[];
    readonly assignee: string | null;
    readonly openedAt: Date;
  };
  /** The only clock: it stands still during a call. `new Date()` and `Date.now()` show the same. */
  readonly now: Date;
  /** From 0 to 1, drawn from the call's seed: not for secrets. `Math.random()` draws from the same. */
  random(): number;
  /** Drawn from the call's seed: not for secrets. */
  randomBytes(length: number): Uint8Array;
  /** For the plugin's author. Never log message bodies, addresses or secrets. */
  readonly log: Readonly<Record<"trace" | "debug" | "info" | "warn" | "error", (...parts: unknown[]) => void>>;

  /** Sends a text, as it is. */
  reply(text: string, options?: SendOptions): void;
  /** Sends a template as in Pombo's templates: choices and variables. */
  sendTemplate(text: string, variables?: { [name: string]: Json }, options?: SendOptions): void;
  /** Sends a file: a URL, which the engine fetches, or one that the engine has. */
  sendFile(file: string | StoredFile, options?: SendOptions & { caption?: string; voiceNote?: boolean }): void;
  /** Reacts to the message that is being handled, or to another; a string is the id of one that this account sent. Empty takes it back. */
  react(emoji: string, message?: string | { id: string; sender: string }): void;
  /** Sets a timer of this conversation, a second to 400 days; one that has this name is replaced. The payload is JSON. */
  setTimer(name: string, delay: Duration, payload?: Json): void;
  cancelTimer(name: string): void;
  tag(tag: string): void;
  untag(tag: string): void;
  /** `active: false` opts the contact out: nothing is sent to it any more. */
  updateContact(update: { name?: string; active?: boolean }): void;
  /** Pauses this conversation's automations until somebody resumes them; says why, for the person who takes over. */
  handOver(reason: string): void;
  /** Puts somebody, or nobody, in charge. */
  assign(assignee: string | null): void;
  /** Appends to the tenant's event log. */
  emit(kind: string, data?: Json): void;
  /** Shows the other side that the conversation was read. */
  markRead(): void;
  /** The event is dealt with: later automations of the connector are not asked. The default once something is sent or handed over. */
  claim(): void;
  /** Later automations of the connector are asked too. */
  pass(): void;

  /** The automation's own store, shared by its conversations. Values are JSON, 1 MiB at most; keys have 1 to 512 bytes. */
  readonly kv: {
    get(key: string): any;
    /** Entries whose key starts with `prefix`, in byte order, after the key `after`; 256 at most. */
    list(prefix?: string, options?: { after?: string; limit?: number }): { key: string; value: any }[];
    set(key: string, value: Json): void;
    delete(key: string): void;
  };
  /**
   * Requests to granted hosts. A header value may hold `{{secret:NAME}}`, replaced by the engine with the secret field NAME, over TLS
   * only; the header value `{{hmac-sha256:NAME}}` becomes the HMAC of the body. Never put what people write into a header. Redirects
   * are not followed. An event whose handling fails is handled again, and so are its requests: give `idempotency-key: turn.event.id`
   * where the other side takes it.
   */
  readonly http: {
    /** Throws `HttpError` when there is no response. */
    send(request: HttpRequest): HttpResponse;
  };
}

export interface HttpRequest {
  /** `GET`, and with a body `POST`. */
  method?: string;
  url: string;
  headers?: { [name: string]: string | number };
  /** Text, bytes, or an object that is sent as JSON. */
  body?: string | Uint8Array | object;
  /** At most, and by default, what the engine allows (10 seconds). */
  timeout?: Duration;
}

export interface HttpResponse {
  readonly status: number;
  /** A status from 200 to 299. */
  readonly ok: boolean;
  /** By lower-case name. */
  readonly headers: { readonly [name: string]: string };
  readonly body: Uint8Array;
  text(): string;
  json(): any;
}

/** A request got no response. */
export class HttpError extends Error {
  constructor(kind: HttpError["kind"], detail: string);
  readonly kind:
    /** The host or the secret is not granted, or the target is not allowed. */
    | "refused"
    /** The request itself is malformed. */
    | "invalid"
    /** Nothing was sent. */
    | "not-connected"
    /** It may have been carried out. */
    | "interrupted"
    /** The response is larger than the engine's limit. */
    | "too-large";
}

/** The key/value store did not answer. */
export class KvError extends Error {
  constructor(kind: KvError["kind"], detail: string);
  readonly kind:
    /** It was not granted, see `wants.kvBytes`. */
    | "refused"
    | "unavailable";
}
