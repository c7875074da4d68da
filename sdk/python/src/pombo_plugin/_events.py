"""Events as handlers are given them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from . import _wire as wire

#: Anything that JSON can hold.
Json = Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant(millis: int) -> datetime:
    """As a date and time in UTC. Not by the clock's functions: the component replaces those."""
    return _EPOCH + timedelta(milliseconds=millis)


@dataclass(frozen=True)
class StoredFile:
    """A file that the engine has."""

    id: str
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True)
class Text:
    """A text."""

    text: str


@dataclass(frozen=True)
class Attachment:
    """A file in a message."""

    #: ``image``, ``video``, ``audio``, ``voice``, ``document`` or ``sticker``.
    kind: str
    #: None while the file is still being fetched, or when it cannot be had.
    file: StoredFile | None = None
    caption: str | None = None


@dataclass(frozen=True)
class Location:
    """A place."""

    latitude: float
    longitude: float
    name: str | None = None


@dataclass(frozen=True)
class Edit:
    """A new text for an earlier message of the same sender."""

    message: str
    text: str


@dataclass(frozen=True)
class Deleted:
    """The message was deleted for everyone."""

    message: str


@dataclass(frozen=True)
class Other:
    """What this SDK has no type for."""

    kind: str
    data: Json


Content = Union[Text, Attachment, Location, Edit, Deleted, Other]


@dataclass(frozen=True)
class Message:
    """A message that was received."""

    #: The channel's id for it.
    id: str
    sender: str
    sender_name: str | None
    #: Its text, or its caption, or nothing.
    text: str
    content: Content
    #: The channel's id of the message it answers.
    reply_to: str | None
    mentions: list[str]
    sent_at: datetime


@dataclass(frozen=True)
class StatusChange:
    """A step of a message that the automation sent."""

    #: The engine's id for the message.
    message: str
    #: As given when it was sent.
    label: str | None
    #: ``sent``, ``delivered``, ``read``, ``played``, ``failed``, ``unknown`` or ``canceled``.
    status: str
    reason: str | None


@dataclass(frozen=True)
class Reaction:
    """A reaction that was received."""

    #: The channel's id of the message.
    message: str
    sender: str
    #: Empty: it was taken back.
    emoji: str


@dataclass(frozen=True)
class Timer:
    """A timer that ran out."""

    name: str
    #: As given to ``turn.set_timer``.
    payload: Json
    due_at: datetime


@dataclass(frozen=True)
class Start:
    """A start by hand."""

    #: The JSON that was given.
    input: Json
    #: Who.
    by: str


@dataclass(frozen=True)
class WebhookCall:
    """A call of the automation's webhook."""

    content_type: str
    body: str

    def json(self) -> Json:
        """The body read as JSON; raises ``ValueError`` when it is none."""
        return json.loads(self.body)


@dataclass(frozen=True)
class EventInfo:
    """What all events have."""

    #: Stable across retries.
    id: str
    at: datetime
    #: From 1.
    attempt: int
    #: Its name in the world, for example ``message-received``.
    kind: str


@dataclass
class Conversation:
    """Where the event happened."""

    id: str
    connector: str
    #: ``whatsapp``, ``email`` …
    channel: str
    #: The other side's address, or the group's.
    chat: str
    is_group: bool
    contact_name: str | None
    tags: list[str]
    assignee: str | None
    opened_at: datetime


def dumps(value: Json) -> str:
    """As JSON, without spaces; raises what JSON has no form for."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(text: str) -> Json:
    """JSON where it is JSON, and the text where it is not."""
    if text == "":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _content(content: wire.Case) -> Content:
    value = content.value
    match content.tag:
        case "text":
            return Text(value)
        case "attachment":
            file = value.file and StoredFile(value.file.id, value.file.filename, value.file.content_type, value.file.size)
            return Attachment(value.kind, file, value.caption)
        case "location":
            return Location(float(value.latitude), float(value.longitude), value.name)
        case "edit":
            return Edit(value.message, value.text)
        case "deleted":
            return Deleted(value)
        case "other":
            return Other(value.kind, parse(value.json))
    # A newer engine's content.
    return Other(content.tag, None)


def _message(value: wire.Message) -> Message:
    return Message(
        value.id, value.sender, value.sender_name, value.text, _content(value.content), value.reply_to, list(value.mentions),
        instant(value.sent_at_millis),
    )


def _status(value: wire.StatusChange) -> StatusChange:
    return StatusChange(value.message, value.label, value.status, value.reason)


def _reaction(value: wire.ReceivedReaction) -> Reaction:
    return Reaction(value.message, value.sender, value.emoji)


def _timer(value: wire.Timer) -> Timer:
    return Timer(value.name, parse(value.payload), instant(value.due_at_millis))


def _start(value: wire.Start) -> Start:
    return Start(parse(value.input), value.by)


def _webhook(value: wire.Webhook) -> WebhookCall:
    return WebhookCall(value.content_type, value.body)


#: Each kind of event: the handler for it, and how the world's record becomes the handler's argument; without the latter it has none.
_EVENTS: dict[str, tuple[str, Callable[[Any], Any] | None]] = {
    "message-received": ("on_message", _message),
    "status-changed": ("on_status", _status),
    "reaction": ("on_reaction", _reaction),
    "conversation-opened": ("on_opened", None),
    "timer-fired": ("on_timer", _timer),
    "started": ("on_started", _start),
    "webhook-called": ("on_webhook", _webhook),
}

#: Kinds of event and the handlers for them.
HANDLERS = {kind: handler for kind, (handler, _) in _EVENTS.items()}


def read_event(body: wire.Case) -> tuple[str | None, Any]:
    """The name of the handler for an event, and its second argument; None where there is none.

    No handler is there for an event that a newer engine knows and this SDK does not.
    """
    handler, read = _EVENTS.get(body.tag, (None, None))
    return handler, None if read is None else read(body.value)
