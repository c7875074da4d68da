// Events as the world has them, read into what handlers are given.

/** Handlers and the kinds of event that they are for. */
export const HANDLERS = {
  onMessage: "message-received",
  onStatus: "status-changed",
  onReaction: "reaction",
  onOpened: "conversation-opened",
  onTimer: "timer-fired",
  onStarted: "started",
  onWebhook: "webhook-called",
};

const handlerFor = Object.fromEntries(Object.entries(HANDLERS).map(([handler, kind]) => [kind, handler]));

/** The handler for an event, and its second argument; undefined where there is none. */
export function readEvent({ body }) {
  const handler = handlerFor[body.tag];
  if (!handler) {
    throw new TypeError(`this SDK does not know the event ${body.tag}`);
  }
  return { handler, argument: readers[body.tag]?.(body.val) };
}

const readers = {
  "message-received": (message) => ({
    id: message.id,
    sender: message.sender,
    senderName: message.senderName ?? null,
    text: message.text,
    content: readContent(message.content),
    replyTo: message.replyTo ?? null,
    mentions: message.mentions,
    sentAt: new Date(Number(message.sentAtMillis)),
  }),
  "status-changed": (change) => ({
    message: change.message,
    label: change.label ?? null,
    status: change.status,
    reason: change.reason ?? null,
  }),
  reaction: (reaction) => ({ message: reaction.message, sender: reaction.sender, emoji: reaction.emoji }),
  "timer-fired": (timer) => ({
    name: timer.name,
    payload: parse(timer.payload),
    dueAt: new Date(Number(timer.dueAtMillis)),
  }),
  started: (start) => ({ input: parse(start.input), by: start.by }),
  "webhook-called": (call) => ({
    contentType: call.contentType,
    body: call.body,
    json: () => JSON.parse(call.body),
  }),
};

function readContent({ tag, val }) {
  switch (tag) {
    case "text":
      return { kind: "text", text: val };
    case "attachment":
      return { kind: "attachment", attachment: readAttachment(val) };
    case "location":
      return { kind: "location", latitude: Number(val.latitude), longitude: Number(val.longitude), name: val.name ?? null };
    case "edit":
      return { kind: "edit", message: val.message, text: val.text };
    case "deleted":
      return { kind: "deleted", message: val };
    default:
      return { kind: "other", type: val.kind, data: parse(val.json) };
  }
}

function readAttachment({ kind, file, caption }) {
  return {
    kind,
    file: file ? { id: file.id, filename: file.filename, contentType: file.contentType, size: Number(file.size) } : null,
    caption: caption ?? null,
  };
}

/** JSON where it is JSON, and the text where it is not. */
export function parse(text) {
  if (text === "") {
    return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
