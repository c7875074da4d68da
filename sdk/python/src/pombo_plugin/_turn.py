"""One event that is being handled: what the handler may read, and the actions it collects, which are carried out after it has returned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import _wire as wire
from ._events import Conversation, EventInfo, Json, Message, StoredFile, dumps, instant
from ._host import Host, Http, Kv

_MIN_TIMER = timedelta(seconds=1)
_MAX_TIMER = timedelta(days=400)


@dataclass(frozen=True)
class Wants:
    """What an automation needs beyond being called. Shown to the person who installs it, and available only when granted."""

    #: Servers for ``turn.http``: ``=host``, ``=host:port``, ``=*.suffix``, or the dotted path of a configuration field that holds one.
    hosts: Sequence[str] = field(default_factory=tuple)
    #: Size of its key/value store in bytes; 0 for none.
    kv_bytes: int = 0
    #: Processor time of one call, in milliseconds; 0 for the engine's default.
    cpu_millis: int = 0
    #: Memory of one call, in bytes; 0 for the engine's default.
    memory_bytes: int = 0
    #: Events per minute; 0 for the engine's default. Events beyond that wait.
    events_per_minute: int = 0


class Log:
    """The plugin's log, for its author. Never log message bodies, addresses or secrets."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def trace(self, text: object) -> None:
        """Writes a line."""
        self._host.log("trace", str(text))

    def debug(self, text: object) -> None:
        """Writes a line."""
        self._host.log("debug", str(text))

    def info(self, text: object) -> None:
        """Writes a line."""
        self._host.log("info", str(text))

    def warn(self, text: object) -> None:
        """Writes a line."""
        self._host.log("warn", str(text))

    def error(self, text: object) -> None:
        """Writes a line."""
        self._host.log("error", str(text))


class Turn:
    """One event that is being handled. Its actions are carried out after the handler has returned, all or none."""

    #: The state of this conversation, stored as JSON. Change it or assign a new value; None deletes it.
    state: Any
    #: The automation's configuration, without its secrets.
    config: dict[str, Any]
    event: EventInfo
    conversation: Conversation
    kv: Kv
    http: Http
    log: Log

    def __init__(
        self, host: Host, observer: bool, initial: Any, event: wire.Event, state: str | None, argument: object
    ) -> None:
        where = event.conversation
        self._host = host
        self._observer = observer
        self._message = argument if isinstance(argument, Message) else None
        self._actions: list[wire.Case] = []
        self._claimed: bool | None = None
        self._found = state
        self._fresh = dumps(initial)
        self.state = json.loads(self._fresh if state is None else state)
        self.config = json.loads(event.config)
        self.event = EventInfo(event.id, instant(event.at_millis), event.attempt, event.body.tag)
        self.conversation = Conversation(
            where.id, where.connector, where.channel, where.chat, where.is_group, where.contact_name, list(where.tags),
            where.assignee, instant(where.opened_at_millis),
        )
        self.kv = Kv(host, self._actions)
        self.http = Http(host)
        self.log = Log(host)

    @property
    def now(self) -> datetime:
        """The only clock, in UTC: it stands still during a call. ``time.time()`` and ``datetime.now()`` show the same."""
        return instant(self._host.now_millis())

    def random(self) -> float:
        """A random number from 0 to 1 (exclusive), from the call's seed; do not use it for secrets. ``random`` uses the same source."""
        return int.from_bytes(self._host.random_bytes(7), "big") % (1 << 53) / (1 << 53)

    def random_bytes(self, length: int) -> bytes:
        """Random bytes from the call's seed; do not use them for secrets."""
        return self._host.random_bytes(length)

    def reply(
        self, text: str, *, quote: bool = False, reply_to: str | None = None, delay: timedelta | None = None, label: str | None = None
    ) -> None:
        """Sends a text literally. ``quote`` replies to the message being handled; ``label`` is returned in ``on_status``."""
        if not isinstance(text, str) or text == "":
            raise TypeError("a reply must be a text that is not empty")
        self._send(wire.Case("text", text), quote, reply_to, delay, label)

    def send_template(
        self,
        text: str,
        variables: dict[str, Json] | None = None,
        *,
        quote: bool = False,
        reply_to: str | None = None,
        delay: timedelta | None = None,
        label: str | None = None,
    ) -> None:
        """Sends a text rendered from a template with choices and variables, see Pombo's documentation of templates."""
        template = wire.Template(text, dumps(variables or {}))
        self._send(wire.Case("template", template), quote, reply_to, delay, label)

    def send_file(
        self,
        file: str | StoredFile,
        *,
        caption: str | None = None,
        voice_note: bool = False,
        quote: bool = False,
        reply_to: str | None = None,
        delay: timedelta | None = None,
        label: str | None = None,
    ) -> None:
        """Sends a file: from a URL, which the engine fetches, or one that the engine has stored."""
        source = (
            wire.Case("url", file)
            if isinstance(file, str)
            else wire.Case("stored", wire.StoredFile(file.id, file.filename, file.content_type, file.size))
        )
        self._send(wire.Case("file", wire.FileContent(source, caption, voice_note)), quote, reply_to, delay, label)

    def react(self, emoji: str, message: Message | str | None = None) -> None:
        """Reacts to the message being handled, or to another one; a ``str`` is the id of a message that this account sent.
        An empty emoji removes the reaction."""
        target = message or self._message
        if target is None:
            raise TypeError("say which message to react to: this event has none")
        reaction = (
            wire.SentReaction(target, None, emoji) if isinstance(target, str) else wire.SentReaction(target.id, target.sender, emoji)
        )
        self._send(wire.Case("reaction", reaction), False, None, None, None)

    def set_timer(self, name: str, delay: timedelta, payload: Json = None) -> None:
        """Sets a timer of this conversation, from 1 second to 400 days; a timer that already has this name is replaced. The payload is JSON."""
        if not _MIN_TIMER <= delay <= _MAX_TIMER:
            raise ValueError("a timer must run from 1 second to 400 days")
        self._act("set-timer", wire.NewTimer(name, _millis(delay), dumps(payload)))

    def cancel_timer(self, name: str) -> None:
        """Cancels a timer; does nothing if no timer has this name."""
        self._act("cancel-timer", name)

    def tag(self, tag: str) -> None:
        """Adds a tag to the conversation."""
        self._act("add-tag", tag)
        self.conversation.tags = sorted({*self.conversation.tags, tag})

    def untag(self, tag: str) -> None:
        """Removes a tag from the conversation."""
        self._act("remove-tag", tag)
        self.conversation.tags = [other for other in self.conversation.tags if other != tag]

    def update_contact(self, *, name: str | None = None, active: bool | None = None) -> None:
        """``active=False`` opts the contact out: nothing is sent to it any longer."""
        self._act("update-contact", wire.ContactUpdate(name, active))

    def hand_over(self, reason: str) -> None:
        """Pauses the automations in this conversation until somebody resumes them; the reason is for the person who takes over."""
        self._not_an_observer("hand a conversation over")
        self._act("hand-over", reason)

    def assign(self, assignee: str | None) -> None:
        """Assigns the conversation to somebody, or to nobody."""
        self._not_an_observer("assign a conversation")
        self._act("assign", assignee)
        self.conversation.assignee = assignee

    def emit(self, kind: str, data: Json = None) -> None:
        """Appends an event to the tenant's event log."""
        self._act("emit", wire.Emitted(kind, dumps(data)))

    def mark_read(self) -> None:
        """Marks the conversation as read."""
        self._act("mark-read", None)

    def claim(self) -> None:
        """Claims the event: later automations are not asked. This is the default if something is sent or handed over."""
        self._claimed = True

    def pass_on(self) -> None:
        """Lets later automations of the connector be asked too."""
        self._claimed = False

    def _outcome(self) -> wire.Outcome:
        state = None if self.state is None else dumps(self.state)
        answered = any(action.tag in ("send", "hand-over") for action in self._actions)
        return wire.Outcome(
            state=None if self._found is None and state == self._fresh else state,
            actions=self._actions,
            claim=answered if self._claimed is None else self._claimed,
        )

    def _send(self, content: wire.Case, quote: bool, reply_to: str | None, delay: timedelta | None, label: str | None) -> None:
        self._not_an_observer("send")
        if quote and self._message is None:
            raise TypeError("there is no message to quote in this event; give reply_to instead")
        if reply_to is None and quote and self._message is not None:
            reply_to = self._message.id
        self._act("send", wire.Send(content, reply_to, 0 if delay is None else _millis(delay), label))

    def _act(self, tag: str, value: object) -> None:
        self._actions.append(wire.Case(tag, value))

    def _not_an_observer(self, what: str) -> None:
        if self._observer:
            raise TypeError(f"an observer may not {what}")


def _millis(length: timedelta) -> int:
    if length < timedelta(0):
        raise ValueError("a duration must not be negative")
    return round(length / timedelta(milliseconds=1))
