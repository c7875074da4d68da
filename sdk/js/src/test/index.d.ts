import type { Automation, Content, Duration, HttpRequest, Json, StatusChange, StoredFile } from "../index.js";

/** Where a script starts. */
export interface ScriptOptions<Config> {
  /** The whole configuration, secrets included. */
  config?: Config & { [field: string]: any };
  /** What the clock shows first; 2026-01-05T12:00:00Z, a Monday, when absent. */
  now?: Date | string | number;
  /** What chance is drawn from. */
  seed?: number;
  channel?: string;
  /** The other side's address. */
  chat?: string;
  isGroup?: boolean;
  contactName?: string;
  tags?: string[];
  assignee?: string;
  /** What is in the key/value store. */
  kv?: { [key: string]: Json };
  /** Plays the servers. What it returns is the response; a thrown HttpError is told to the automation. */
  http?: (request: { method: string; url: string; headers: { [name: string]: string }; body: string; json(): any }) =>
    { status?: number; headers?: { [name: string]: string }; body?: string | Uint8Array | object } | undefined;
}

/** A message that was sent. */
export interface Sent {
  text?: string;
  template?: string;
  variables?: { [name: string]: Json };
  file?: string | StoredFile;
  caption?: string;
  voiceNote?: true;
  reaction?: string;
  /** What the reaction is for. */
  message?: string;
  replyTo?: string;
  label?: string;
  /** Milliseconds. */
  delay?: number;
}

/** A conversation with the automation, on a clock that only `advance` moves. */
export interface Script<State = any> {
  /** Everything sent so far. Only what was given is there: a plain reply is `{ text }`. */
  readonly sent: Sent[];
  /** The texts, templates and captions of `sent`. */
  readonly texts: string[];
  /** What the automation kept, or null. */
  readonly state: State | null;
  readonly tags: string[];
  readonly assignee: string | null;
  /** The reason it handed the conversation over for; null while automations answer. */
  readonly handedOver: string | null;
  /** When each timer runs out. */
  readonly timers: { [name: string]: Date };
  /** Contents of the key/value store. */
  readonly kv: { [key: string]: any };
  /** What it emitted. */
  readonly emitted: { kind: string; data: any }[];
  /** How it changed the contact. */
  readonly contact: { name?: string; active?: boolean };
  readonly markedRead: boolean;
  /** Whether it claimed the last event; null when it was not asked. */
  readonly claimed: boolean | null;
  readonly log: { level: string; text: string }[];
  /** The requests it made, as the servers saw them. */
  readonly requests: HttpRequest[];
  readonly now: Date;

  /** Each of these hands over one event, and throws what the automation throws: then nothing of it was done. */
  says(text: string, message?: { id?: string; sender?: string; senderName?: string; content?: Content; replyTo?: string; mentions?: string[] }): Script<State>;
  sends(content: Content, message?: { id?: string; sender?: string; senderName?: string; replyTo?: string }): Script<State>;
  reacts(emoji: string, message: string, sender?: string): Script<State>;
  /** Tells of a step of a message that was sent with this label. */
  status(label: string | null, status: StatusChange["status"], reason?: string): Script<State>;
  starts(input?: Json, by?: string): Script<State>;
  calls(body: string | object, contentType?: string): Script<State>;
  /** Hands the event that failed last over again. */
  retry(): Script<State>;
  /** Moves the clock; timers fire in their order, each at its time. */
  advance(length: Duration): Script<State>;
  /** A person takes over. */
  pause(reason?: string): Script<State>;
  /** The automation goes on: timers that ran out meanwhile fire now. */
  resume(): Script<State>;
}

/** Starts a conversation with an automation, for vitest or any other test runner. */
export function script<Config, State>(automation: Automation<Config, State>, options?: ScriptOptions<Config>): Script<State>;
