"""Events in the form that handlers get."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from . import _wire as wire

#: Any JSON value.
Json = Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant(millis: int) -> datetime:
    """A date and time in UTC, without the clock's functions, because the component replaces those."""
    return _EPOCH + timedelta(milliseconds=millis)


@dataclass(frozen=True)
class StoredFile:
    """A file that the engine has stored."""

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
    #: None while the file is still being fetched, or if it could not be fetched.
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
    """Content that this SDK has no type for."""

    kind: str
    data: Json


Content = Union[Text, Attachment, Location, Edit, Deleted, Other]


@dataclass(frozen=True)
class Message:
    """A received message."""

    #: The channel's id of the message.
    id: str
    sender: str
    sender_name: str | None
    #: The message's text or its file's caption; empty if it has neither.
    text: str
    content: Content
    #: The channel's id of the message that it replies to.
    reply_to: str | None
    mentions: list[str]
    sent_at: datetime


@dataclass(frozen=True)
class StatusChange:
    """A change of the status of a message that the automation sent."""

    #: The engine's id of the message.
    message: str
    #: The label that the automation gave the message when it sent it.
    label: str | None
    #: ``sent``, ``delivered``, ``read``, ``played``, ``failed``, ``unknown`` or ``canceled``.
    status: str
    reason: str | None


@dataclass(frozen=True)
class Reaction:
    """A received reaction."""

    #: The channel's id of the message.
    message: str
    sender: str
    #: Empty: the reaction was removed.
    emoji: str


@dataclass(frozen=True)
class Timer:
    """A timer that fired."""

    name: str
    #: The payload given to ``turn.set_timer``.
    payload: Json
    due_at: datetime


@dataclass(frozen=True)
class Start:
    """A start by hand."""

    #: The JSON value that it was started with.
    input: Json
    #: Who started it.
    by: str


@dataclass(frozen=True)
class WebhookCall:
    """A call of the automation's webhook."""

    content_type: str
    body: str

    def json(self) -> Json:
        """The body parsed as JSON; raises ``ValueError`` if it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class EventInfo:
    """The fields that all events have."""

    #: The engine's id of the event, the same on every attempt.
    id: str
    at: datetime
    #: The number of this attempt, from 1.
    attempt: int
    #: The kind's name in the world, for example ``message-received``.
    kind: str


@dataclass
class Conversation:
    """The conversation in which the event happened."""

    id: str
    connector: str
    #: The channel, for example ``whatsapp`` or ``email``.
    channel: str
    #: The address of the contact, or of the group.
    chat: str
    is_group: bool
    contact_name: str | None
    tags: list[str]
    assignee: str | None
    opened_at: datetime


def dumps(value: Json) -> str:
    """The value as JSON without spaces; raises if it cannot be written as JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(text: str) -> Json:
    """The parsed value if the text is JSON, otherwise the text."""
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


#: For each kind of event: its handler, and how the world's record becomes the handler's argument, if it has one.
_EVENTS: dict[str, tuple[str, Callable[[Any], Any] | None]] = {
    "message-received": ("on_message", _message),
    "status-changed": ("on_status", _status),
    "reaction": ("on_reaction", _reaction),
    "conversation-opened": ("on_opened", None),
    "timer-fired": ("on_timer", _timer),
    "started": ("on_started", _start),
    "webhook-called": ("on_webhook", _webhook),
}

#: The kinds of event and their handlers.
HANDLERS = {kind: handler for kind, (handler, _) in _EVENTS.items()}


def read_event(body: wire.Case) -> tuple[str | None, Any]:
    """The name of the handler for an event, and its second argument; None if there is none.

    There is no handler for an event that a newer engine knows but this SDK does not.
    """
    handler, read = _EVENTS.get(body.tag, (None, None))
    return handler, None if read is None else read(body.value)
