/** The kinds of event that an automation can be called for. */
export type EventKind =
  | "message-received"
  | "status-changed"
  | "reaction"
  | "conversation-opened"
  | "timer-fired"
  | "started"
  | "webhook-called";

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

/** A duration: milliseconds, or for example `{ days: 3, hours: 2 }`. */
export type Duration =
  | number
  | { weeks?: number; days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number };

/** The duration in milliseconds. */
export function duration(length: Duration): number;

/** What the automation needs beyond being called. Shown to the person who installs it, and available only when granted. */
export interface Wants {
  /** Servers for `turn.http`: `=host`, `=host:port`, `=*.suffix`, or the dotted path of a configuration field that holds one. */
  hosts?: string[];
  /** Size of its key/value store in bytes; no store if omitted. */
  kvBytes?: number;
  /** Processor time of one call, in milliseconds; the engine's default if omitted. */
  cpuMillis?: number;
  /** Memory of one call, in bytes; the engine's default if omitted. */
  memoryBytes?: number;
  /** Events per minute; the engine's default if omitted. Events beyond that wait. */
  eventsPerMinute?: number;
}

/** A handler is an ordinary function, not an asynchronous one; `turn.http` and `turn.kv` are not asynchronous either. */
type Handled = void | undefined;

/** An automation: its description and its handlers. It is called for the events that it has a handler for. */
export interface Definition<Config, State> {
  /** Lower-case words joined by dashes, unique in the engine. */
  name: string;
  /** A semantic version, for example `0.1.0`. */
  version: string;
  /** The name to show to people; `name` if omitted. */
  displayName?: string;
  /** A JSON Schema (2020-12) of the configuration. */
  configSchema?: { [keyword: string]: Json };
  /** Top-level fields of the configuration that are secret: never in `turn.config`; for their use see `turn.http`. */
  secretFields?: string[];
  /** The events to be called for, if these are not all that it has handlers for. */
  events?: EventKind[];
  /** Whether it only observes: it then gets every event, even one that another automation claims, and may not send, hand over or assign. */
  observer?: boolean;
  /** What the automation needs beyond being called. */
  wants?: Wants;
  /** The state of a conversation that has none yet; `{}` if omitted. */
  initialState?: State;

  /** Somebody wrote a message. */
  onMessage?(turn: Turn<Config, State>, message: Message): Handled;
  /** A message that the automation sent changed its status. */
  onStatus?(turn: Turn<Config, State>, change: StatusChange): Handled;
  /** Somebody reacted to a message. */
  onReaction?(turn: Turn<Config, State>, reaction: Reaction): Handled;
  /** A conversation opened; its first event follows. */
  onOpened?(turn: Turn<Config, State>): Handled;
  /** A timer of this conversation fired. */
  onTimer?(turn: Turn<Config, State>, timer: Timer): Handled;
  /** Somebody started the automation by hand. */
  onStarted?(turn: Turn<Config, State>, start: Start): Handled;
  /** Somebody called the automation's webhook. */
  onWebhook?(turn: Turn<Config, State>, call: WebhookCall): Handled;
}

/** The default export of an automation's module. */
export interface Automation<Config = unknown, State = unknown> {
  /** Returns the world's shape `description`. */
  describe(): object;
  /** Takes the world's shape `event` and returns the world's shape `outcome`. */
  handle(host: object, event: object, state: string | null): object;
  /** Exists only for the types. */
  readonly __types?: (config: Config) => State;
}

/** Checks a definition and makes it callable. */
export function defineAutomation<Config = { [field: string]: Json }, State = { [field: string]: Json }>(
  definition: Definition<Config, State>,
): Automation<Config, State>;

/** A received message. */
export interface Message {
  /** The channel's id of the message. */
  readonly id: string;
  readonly sender: string;
  readonly senderName: string | null;
  /** The message's text or its file's caption; empty if it has neither. */
  readonly text: string;
  readonly content: Content;
  /** The channel's id of the message that it replies to. */
  readonly replyTo: string | null;
  readonly mentions: readonly string[];
  readonly sentAt: Date;
}

/** The content of a message. */
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
  /** Null while the file is still being fetched, or if it could not be fetched. */
  file: StoredFile | null;
  caption: string | null;
}

/** A file that the engine has stored. */
export interface StoredFile {
  id: string;
  filename: string;
  contentType: string;
  size: number;
}

/** A change of the status of a message that the automation sent. */
export interface StatusChange {
  /** The engine's id of the message. */
  readonly message: string;
  /** The label that the automation gave the message when it sent it. */
  readonly label: string | null;
  readonly status: "sent" | "delivered" | "read" | "played" | "failed" | "unknown" | "canceled";
  readonly reason: string | null;
}

/** A received reaction. */
export interface Reaction {
  /** The channel's id of the message. */
  readonly message: string;
  readonly sender: string;
  /** Empty: the reaction was removed. */
  readonly emoji: string;
}

/** A timer that fired. */
export interface Timer {
  readonly name: string;
  /** The payload given to `turn.setTimer`. */
  readonly payload: any;
  readonly dueAt: Date;
}

/** A start by hand. */
export interface Start {
  /** The JSON value that it was started with. */
  readonly input: any;
  /** Who started it. */
  readonly by: string;
}

/** A call of the automation's webhook. */
export interface WebhookCall {
  readonly contentType: string;
  readonly body: string;
  /** The body parsed as JSON; throws if it is not JSON. */
  json(): any;
}

/** Options of a message to send. */
export interface SendOptions {
  /** Whether to send it as a reply that quotes the message being handled. */
  quote?: boolean;
  /** The channel's id of the message that it replies to. */
  replyTo?: string;
  /** Sends it only after this time. */
  delay?: Duration;
  /** Returned in `onStatus`. */
  label?: string;
}

/** One event that is being handled. Its actions are carried out after the handler has returned, all or none. */
export interface Turn<Config = { [field: string]: Json }, State = { [field: string]: Json }> {
  /** The state of this conversation, stored as JSON. Change it or assign a new value; null deletes it. */
  state: State;
  /** The automation's configuration, without its secrets. */
  readonly config: Config;
  readonly event: {
    /** The engine's id of the event, the same on every attempt. */
    readonly id: string;
    readonly at: Date;
    /** The number of this attempt, from 1. */
    readonly attempt: number;
    readonly kind: EventKind;
  };
  readonly conversation: {
    readonly id: string;
    readonly connector: string;
    /** The channel, for example `whatsapp` or `email`. */
    readonly channel: string;
    /** The address of the contact, or of the group. */
    readonly chat: string;
    readonly isGroup: boolean;
    readonly contactName: string | null;
    readonly tags: readonly string[];
    readonly assignee: string | null;
    readonly openedAt: Date;
  };
  /** The only clock: it stands still during a call. `new Date()` and `Date.now()` show the same. */
  readonly now: Date;
  /** A random number from 0 to 1 (exclusive), from the call's seed; do not use it for secrets. `Math.random()` uses the same source. */
  random(): number;
  /** Random bytes from the call's seed; do not use them for secrets. */
  randomBytes(length: number): Uint8Array;
  /** The plugin's log, for its author. Never log message bodies, addresses or secrets. */
  readonly log: Readonly<Record<"trace" | "debug" | "info" | "warn" | "error", (...parts: unknown[]) => void>>;

  /** Sends a text literally. */
  reply(text: string, options?: SendOptions): void;
  /** Sends a text rendered from a template with choices and variables, see Pombo's documentation of templates. */
  sendTemplate(text: string, variables?: { [name: string]: Json }, options?: SendOptions): void;
  /** Sends a file: from a URL, which the engine fetches, or one that the engine has stored. */
  sendFile(file: string | StoredFile, options?: SendOptions & { caption?: string; voiceNote?: boolean }): void;
  /** Reacts to the message being handled, or to another one; a string is the id of a message that this account sent. An empty emoji removes the reaction. */
  react(emoji: string, message?: string | { id: string; sender: string }): void;
  /** Sets a timer of this conversation, from 1 second to 400 days; a timer that already has this name is replaced. The payload is JSON. */
  setTimer(name: string, delay: Duration, payload?: Json): void;
  cancelTimer(name: string): void;
  tag(tag: string): void;
  untag(tag: string): void;
  /** `active: false` opts the contact out: nothing is sent to it any longer. */
  updateContact(update: { name?: string; active?: boolean }): void;
  /** Pauses the automations in this conversation until somebody resumes them; the reason is for the person who takes over. */
  handOver(reason: string): void;
  /** Assigns the conversation to somebody, or to nobody. */
  assign(assignee: string | null): void;
  /** Appends an event to the tenant's event log. */
  emit(kind: string, data?: Json): void;
  /** Marks the conversation as read. */
  markRead(): void;
  /** Claims the event: later automations of the connector are not asked. This is the default if something is sent or handed over. */
  claim(): void;
  /** Lets later automations of the connector be asked too. */
  pass(): void;

  /** The automation's own store, shared by all its conversations. Values are JSON of at most 1 MiB; keys have 1 to 512 bytes. */
  readonly kv: {
    get(key: string): any;
    /** Lists entries whose key starts with `prefix`, in byte order, after the key `after`; at most 256. */
    list(prefix?: string, options?: { after?: string; limit?: number }): { key: string; value: any }[];
    set(key: string, value: Json): void;
    delete(key: string): void;
  };
  /**
   * HTTP requests to granted hosts. A header value may contain `{{secret:NAME}}`, which the engine replaces with the secret field NAME, over TLS
   * only; the header value `{{hmac-sha256:NAME}}` becomes the HMAC-SHA256 of the body. Never put what people write into a header. Redirects
   * are not followed. If the event fails and is handled again, its requests are sent again: pass `idempotency-key: turn.event.id`
   * where the server supports it.
   */
  readonly http: {
    /** Sends a request and waits for the response. Throws `HttpError` if there is none. */
    send(request: HttpRequest): HttpResponse;
  };
}

export interface HttpRequest {
  /** The method. If omitted: `POST` with a body, otherwise `GET`. */
  method?: string;
  url: string;
  headers?: { [name: string]: string | number };
  /** A text, bytes, or a value that is sent as JSON. */
  body?: string | Uint8Array | object;
  /** The time for the whole request; at most, and by default, the engine's limit (10 seconds). */
  timeout?: Duration;
}

export interface HttpResponse {
  readonly status: number;
  /** Whether the status is from 200 to 299. */
  readonly ok: boolean;
  /** The headers by lower-case name. */
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
    /** No connection was made, and nothing was sent. */
    | "not-connected"
    /** The connection broke after the request was begun: the server may have carried it out. */
    | "interrupted"
    /** The response is larger than the engine's limit. */
    | "too-large";
}

/** The key/value store did not answer. */
export class KvError extends Error {
  constructor(kind: KvError["kind"], detail: string);
  readonly kind:
    /** The store is not granted, see `wants.kvBytes`. */
    | "refused"
    | "unavailable";
}
