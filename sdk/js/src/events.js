// Converts events from the world's shape into the arguments of handlers.

/** For each kind of event: its handler, and how the world's record becomes the handler's argument; without `read` there is no argument. */
const EVENTS = {
  "message-received": {
    handler: "onMessage",
    read: (message) => ({
      id: message.id,
      sender: message.sender,
      senderName: message.senderName ?? null,
      text: message.text,
      content: readContent(message.content),
      replyTo: message.replyTo ?? null,
      mentions: message.mentions,
      sentAt: new Date(Number(message.sentAtMillis)),
    }),
  },
  "status-changed": {
    handler: "onStatus",
    read: (change) => ({
      message: change.message,
      label: change.label ?? null,
      status: change.status,
      reason: change.reason ?? null,
    }),
  },
  reaction: {
    handler: "onReaction",
    read: (reaction) => ({ message: reaction.message, sender: reaction.sender, emoji: reaction.emoji }),
  },
  "conversation-opened": { handler: "onOpened" },
  "timer-fired": {
    handler: "onTimer",
    read: (timer) => ({ name: timer.name, payload: parse(timer.payload), dueAt: new Date(Number(timer.dueAtMillis)) }),
  },
  started: { handler: "onStarted", read: (start) => ({ input: parse(start.input), by: start.by }) },
  "webhook-called": {
    handler: "onWebhook",
    read: (call) => ({ contentType: call.contentType, body: call.body, json: () => JSON.parse(call.body) }),
  },
};

/** The handlers and the kind of event that each handles. */
export const HANDLERS = Object.fromEntries(Object.entries(EVENTS).map(([kind, { handler }]) => [handler, kind]));

/**
 * The name of the handler for an event, and its second argument; undefined if there is none. Both are undefined for an event that a
 * newer engine knows but this SDK does not.
 */
export function readEvent({ body }) {
  const event = EVENTS[body.tag];
  return { handler: event?.handler, argument: event?.read?.(body.val) };
}

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
    case "other":
      return { kind: "other", type: val.kind, data: parse(val.json) };
    default:
      // A newer engine's content.
      return { kind: "other", type: tag, data: null };
  }
}

function readAttachment({ kind, file, caption }) {
  return {
    kind,
    file: file ? { id: file.id, filename: file.filename, contentType: file.contentType, size: Number(file.size) } : null,
    caption: caption ?? null,
  };
}

/** The parsed value if the text is JSON, otherwise the text. */
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
