import type { Automation, Content, Duration, HttpRequest, Json, StatusChange, StoredFile } from "../index.js";

/** The start of a script. */
export interface ScriptOptions<Config> {
  /** The whole configuration, including secrets. */
  config?: Config & { [field: string]: any };
  /** The clock's first time; if omitted, 2026-01-05T12:00:00Z, a Monday. */
  now?: Date | string | number;
  /** The seed of the random numbers. */
  seed?: number;
  channel?: string;
  /** The contact's address. */
  chat?: string;
  isGroup?: boolean;
  contactName?: string;
  tags?: string[];
  assignee?: string;
  /** The initial content of the key/value store. */
  kv?: { [key: string]: Json };
  /** Plays the servers. It returns the response; an HttpError that it throws reaches the automation. */
  http?: (request: { method: string; url: string; headers: { [name: string]: string }; body: string; json(): any }) =>
    { status?: number; headers?: { [name: string]: string }; body?: string | Uint8Array | object } | undefined;
}

/** A sent message. */
export interface Sent {
  text?: string;
  template?: string;
  variables?: { [name: string]: Json };
  file?: string | StoredFile;
  caption?: string;
  voiceNote?: true;
  reaction?: string;
  /** The message that the reaction is for. */
  message?: string;
  replyTo?: string;
  label?: string;
  /** The delay in milliseconds. */
  delay?: number;
}

/** A conversation with the automation, on a clock that only `advance` advances. */
export interface Script<State = any> {
  /** Everything sent so far. Fields that were not given are absent: a plain reply is `{ text }`. */
  readonly sent: Sent[];
  /** The texts, templates and captions of `sent`. */
  readonly texts: string[];
  /** The automation's state in this conversation, or null. */
  readonly state: State | null;
  readonly tags: string[];
  readonly assignee: string | null;
  /** The reason for which it handed the conversation over; null while automations answer. */
  readonly handedOver: string | null;
  /** When each timer fires. */
  readonly timers: { [name: string]: Date };
  /** The content of the key/value store. */
  readonly kv: { [key: string]: any };
  /** The events that it emitted. */
  readonly emitted: { kind: string; data: any }[];
  /** Its changes of the contact. */
  readonly contact: { name?: string; active?: boolean };
  readonly markedRead: boolean;
  /** Whether it claimed the last event; null if it was not called. */
  readonly claimed: boolean | null;
  readonly log: { level: string; text: string }[];
  /** The requests that it made, as the servers saw them. */
  readonly requests: HttpRequest[];
  readonly now: Date;

  /** Each of these handles one event. If the automation throws, the method throws the same and nothing is done. */
  says(text: string, message?: { id?: string; sender?: string; senderName?: string; content?: Content; replyTo?: string; mentions?: string[] }): Script<State>;
  sends(content: Content, message?: { id?: string; sender?: string; senderName?: string; replyTo?: string }): Script<State>;
  reacts(emoji: string, message: string, sender?: string): Script<State>;
  /** The first message that was sent with this label changes its status. */
  status(label: string | null, status: StatusChange["status"], reason?: string): Script<State>;
  starts(input?: Json, by?: string): Script<State>;
  calls(body: string | object, contentType?: string): Script<State>;
  /** Handles the event that failed last again. */
  retry(): Script<State>;
  /** Advances the clock; timers fire in order, each at its time. */
  advance(length: Duration): Script<State>;
  /** A person takes the conversation over. */
  pause(reason?: string): Script<State>;
  /** The person gives the conversation back; timers that came due in the meantime fire now. */
  resume(): Script<State>;
}

/** Starts a conversation with an automation, for vitest or any other test runner. */
export function script<Config, State>(automation: Automation<Config, State>, options?: ScriptOptions<Config>): Script<State>;
