"""The test kit: a conversation with an automation, by the engine's rules, on a clock that only the script advances.

What the automation is given and what it answers takes the same way as in the component: through the world's shapes and JSON. ::

    chat = Script(Greeter)
    chat.says("oi")
    assert chat.texts == ["What is your name?"]
    chat.advance(days=3)
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Union
from urllib.parse import urlsplit

from . import _automation as engine
from . import _wire as wire
from ._automation import Automation
from ._events import Attachment, Content, Deleted, Edit, Json, Location, Other, StoredFile, Text, dumps, instant
from ._host import HostError, HttpError, Request

__all__ = ["Response", "Script", "SeenRequest", "Sent"]

_MAX_TAGS = 50


@dataclass(frozen=True)
class Sent:
    """A sent message; fields that were not given are None."""

    text: str | None = None
    template: str | None = None
    variables: dict[str, Any] | None = None
    file: str | StoredFile | None = None
    caption: str | None = None
    voice_note: bool = False
    reaction: str | None = None
    #: The message that the reaction is for.
    message: str | None = None
    reply_to: str | None = None
    label: str | None = None
    delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class SeenRequest:
    """A request as the server sees it, with the secrets inserted."""

    method: str
    url: str
    #: The headers by lower-case name.
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        """The body parsed as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """The response of a played server; a body that is neither text nor bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


#: Plays the servers; a :class:`pombo_plugin.HttpError` that it raises reaches the automation.
Servers = Callable[[SeenRequest], Union[Response, None]]


class Script:
    """A conversation with an automation. If the automation raises, the event's method raises the same and nothing is done."""

    def __init__(
        self,
        automation: type[Automation],
        *,
        config: dict[str, Any] | None = None,
        now: datetime = datetime(2026, 1, 5, 12, tzinfo=timezone.utc),
        seed: int = 1,
        channel: str = "whatsapp",
        chat: str = "+15550100",
        is_group: bool = False,
        contact_name: str | None = None,
        tags: tuple[str, ...] = (),
        assignee: str | None = None,
        kv: dict[str, Json] | None = None,
        http: Servers | None = None,
    ) -> None:
        #: Everything sent so far.
        self.sent: list[Sent] = []
        #: The events that it emitted: pairs of kind and data.
        self.emitted: list[tuple[str, Json]] = []
        #: Its changes of the contact.
        self.contact: dict[str, Any] = {}
        #: The log: pairs of level and text.
        self.log: list[tuple[str, str]] = []
        #: The requests that it made.
        self.requests: list[SeenRequest] = []
        self.marked_read = False
        #: Whether it claimed the last event; None if it was not called.
        self.claimed: bool | None = None
        #: The reason for which it handed the conversation over; None while automations answer.
        self.handed_over: str | None = None

        self._automation = automation
        self._description = engine.describe(automation)
        secrets = self._description.secret_fields
        config = config or {}
        self._config = dumps({name: value for name, value in config.items() if name not in secrets})
        self._now = round(now.timestamp() * 1000)
        self._conversation = wire.Conversation(
            "00000000-0000-4000-8000-00000000c0de", "00000000-0000-4000-8000-00000000c044", channel, chat, is_group, contact_name,
            sorted(tags), assignee, self._now,
        )
        self._store = _Store(kv or {}, self._description.wants.kv_bytes)
        self._host = _Host(self, random.Random(seed), _Web(self._description.wants.hosts, secrets, config, http, self.requests))
        self._state: str | None = None
        self._timers: dict[str, _Timer] = {}
        self._set = 0
        self._events = 0
        self._opened = False
        self._failed: tuple[wire.Event, int] | None = None
        self._held: list[wire.Case] = []

    @property
    def texts(self) -> list[str]:
        """The texts, templates and captions of what was sent."""
        return [text for sent in self.sent if (text := sent.text or sent.template or sent.caption)]

    @property
    def state(self) -> Any:
        """The automation's state in this conversation, or None."""
        return None if self._state is None else json.loads(self._state)

    @property
    def tags(self) -> list[str]:
        """The conversation's tags."""
        return list(self._conversation.tags)

    @property
    def assignee(self) -> str | None:
        """The conversation's assignee."""
        return self._conversation.assignee

    @property
    def timers(self) -> dict[str, datetime]:
        """When each timer fires."""
        return {name: instant(timer.due) for name, timer in self._timers.items()}

    @property
    def kv(self) -> dict[str, Json]:
        """The content of the key/value store."""
        return {key: json.loads(value) for key, value in self._store.entries.items()}

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return instant(self._now)

    def says(
        self,
        text: str,
        *,
        content: Content | None = None,
        id: str | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        reply_to: str | None = None,
        mentions: tuple[str, ...] = (),
    ) -> None:
        """Somebody writes."""
        message = wire.Message(
            id or f"received-{self._events + 1}", sender or self._conversation.chat, sender_name or self._conversation.contact_name,
            text, _written(content or Text(text)), reply_to, list(mentions), self._now,
        )
        self._deliver(wire.Case("message-received", message))

    def sends(self, content: Content) -> None:
        """Somebody sends something other than a text."""
        caption = content.text if isinstance(content, (Text, Edit)) else getattr(content, "caption", None)
        self.says(caption or "", content=content)

    def reacts(self, emoji: str, message: str, sender: str | None = None) -> None:
        """Somebody reacts to a message."""
        self._deliver(wire.Case("reaction", wire.ReceivedReaction(message, sender or self._conversation.chat, emoji)))

    def status(self, label: str | None, status: str, reason: str | None = None) -> None:
        """A message that was sent with this label changes its status."""
        number = next((number for number, sent in enumerate(self.sent, 1) if sent.label == label), None)
        if number is None:
            raise AssertionError(f"no message with the label {label!r} was sent")
        self._deliver(wire.Case("status-changed", wire.StatusChange(f"sent-{number}", label, status, reason)))

    def starts(self, input: Json = None, by: str = "user:test") -> None:
        """Somebody starts the automation by hand."""
        self._deliver(wire.Case("started", wire.Start(dumps(input), by)))

    def calls(self, body: Json, content_type: str = "application/json") -> None:
        """Somebody calls the automation's webhook; a body that is not a text is sent as JSON."""
        self._deliver(wire.Case("webhook-called", wire.Webhook(content_type, body if isinstance(body, str) else dumps(body))))

    def retry(self) -> None:
        """Handles the event that failed last again."""
        if self._failed is None:
            raise AssertionError("no event failed")
        event, attempt = self._failed
        self._handle(event, attempt + 1)

    def advance(self, **length: float) -> None:
        """Advances the clock; takes the arguments of ``timedelta``. Timers fire in order, each at its time."""
        until = self._now + round(timedelta(**length) / timedelta(milliseconds=1))
        while due := [timer for timer in self._timers.values() if timer.due <= until]:
            timer = min(due, key=lambda timer: (timer.due, timer.number))
            self._now = max(self._now, timer.due)
            del self._timers[timer.name]
            self._deliver(wire.Case("timer-fired", wire.Timer(timer.name, timer.payload, timer.due)))
        self._now = until

    def pause(self, reason: str = "a person took over") -> None:
        """A person takes the conversation over."""
        self.handed_over = self.handed_over or reason

    def resume(self) -> None:
        """The person gives the conversation back; timers that came due in the meantime fire now."""
        self.handed_over = None
        held, self._held = self._held, []
        for body in held:
            self._deliver(body)

    def _deliver(self, body: wire.Case) -> None:
        """The automation gets it unless a person has taken over or it does not listen to this kind of event."""
        if not self._opened:
            self._opened = True
            self._deliver(wire.Case("conversation-opened"))
        self.claimed = None
        if body.tag not in self._description.events:
            return
        if self.handed_over is not None and not self._description.observer:
            if body.tag == "timer-fired":
                self._held.append(body)
            return
        self._events += 1
        id = f"00000000-0000-4000-8000-{self._events:012}"
        self._handle(wire.Event(id, self._now, 1, self._conversation, self._config, body), 1)

    def _handle(self, event: wire.Event, attempt: int) -> None:
        given = copy.deepcopy(event)
        given.attempt, given.conversation = attempt, copy.deepcopy(self._conversation)
        self._failed = (event, attempt)
        outcome = copy.deepcopy(engine.handle(self._automation, self._host, given, self._state))
        self._store.check(outcome.actions)
        # From here on nothing raises, so either all of it is done or, if the code above raised, none.
        self._failed = None
        self._state = outcome.state
        self.claimed = outcome.claim and not self._description.observer
        for action in outcome.actions:
            self._carry_out(action.tag, action.value)

    def _carry_out(self, tag: str, value: Any) -> None:
        conversation = self._conversation
        match tag:
            case "send":
                self.sent.append(_sent(value))
            case "write-kv":
                self._store.write(value)
            case "set-timer":
                self._forget(value.name)
                self._set += 1
                self._timers[value.name] = _Timer(value.name, value.payload, self._now + value.delay_millis, self._set)
            case "cancel-timer":
                self._forget(value)
            case "add-tag":
                if value not in conversation.tags and len(conversation.tags) < _MAX_TAGS:
                    conversation.tags = sorted([*conversation.tags, value])
            case "remove-tag":
                conversation.tags = [other for other in conversation.tags if other != value]
            case "update-contact":
                given = {"name": value.name, "active": value.active}
                self.contact.update({name: part for name, part in given.items() if part is not None})
            case "hand-over":
                self.pause(value)
            case "assign":
                conversation.assignee = value
            case "emit":
                self.emitted.append((value.kind, json.loads(value.json)))
            case "mark-read":
                self.marked_read = True
            case _:
                raise AssertionError(f"the test kit does not know the action {tag}")

    def _forget(self, name: str) -> None:
        """A timer's name stands for one timer, even while the timer is held."""
        self._timers.pop(name, None)
        self._held = [body for body in self._held if body.value.name != name]


@dataclass
class _Timer:
    name: str
    payload: str
    due: int
    number: int


def _sent(send: wire.Send) -> Sent:
    value = send.content.value
    common: dict[str, Any] = {
        "reply_to": send.reply_to,
        "label": send.label,
        "delay": timedelta(milliseconds=send.delay_millis),
    }
    match send.content.tag:
        case "text":
            return Sent(text=value, **common)
        case "template":
            return Sent(template=value.text, variables=json.loads(value.variables), **common)
        case "file":
            file = value.file.value
            if value.file.tag == "stored":
                file = StoredFile(file.id, file.filename, file.content_type, file.size)
            return Sent(file=file, caption=value.caption, voice_note=value.voice_note, **common)
    return Sent(reaction=value.emoji, message=value.message, **common)


def _written(content: Content) -> wire.Case:
    match content:
        case Text(text):
            return wire.Case("text", text)
        case Attachment(kind, file, caption):
            stored = None if file is None else wire.StoredFile(file.id, file.filename, file.content_type, file.size)
            return wire.Case("attachment", wire.Attachment(kind, stored, caption))
        case Location(latitude, longitude, name):
            return wire.Case("location", wire.Location(str(latitude), str(longitude), name))
        case Edit(message, text):
            return wire.Case("edit", wire.Edit(message, text))
        case Deleted(message):
            return wire.Case("deleted", message)
        case Other(kind, data):
            return wire.Case("other", wire.Other(kind, dumps(data)))


class _Store:
    """The key/value store. It is as large as the automation asks for, as if all of that were granted."""

    def __init__(self, contents: dict[str, Json], room: int) -> None:
        self.entries = {key: dumps(value) for key, value in contents.items()}
        self._room = room

    def granted(self) -> dict[str, str]:
        if self._room == 0:
            raise HostError("refused", "the automation does not ask for a key/value store: set Wants.kv_bytes")
        return self.entries

    def check(self, actions: list[wire.Case]) -> None:
        """Raises if the writes among the actions are not granted or do not fit."""
        writes = [action.value for action in actions if action.tag == "write-kv"]
        if writes and self._room == 0:
            raise ValueError("it writes to the key/value store but does not ask for one: set Wants.kv_bytes")
        after = _Store({}, self._room)
        after.entries = dict(self.entries)
        for write in writes:
            after.write(write)
        size = sum(len(key.encode()) + len(value.encode()) for key, value in after.entries.items())
        if writes and size > self._room:
            raise ValueError(f"the key/value store would hold {size} bytes, but Wants.kv_bytes asks for {self._room}")

    def write(self, write: wire.KvWrite) -> None:
        if write.value is None:
            self.entries.pop(write.key, None)
        else:
            self.entries[write.key] = write.value


class _Web:
    """The servers: hosts are checked against what the automation asks for, secrets are inserted, and a function answers."""

    def __init__(
        self, hosts: list[str], secrets: list[str], config: dict[str, Any], servers: Servers | None, requests: list[SeenRequest]
    ) -> None:
        self._hosts = hosts
        self._secrets = {name: config[name] for name in secrets if isinstance(config.get(name), str)}
        self._config = config
        self._servers = servers
        self._requests = requests

    def send(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        target = urlsplit(request.url)
        if not target.hostname or target.scheme not in ("http", "https"):
            raise HostError("invalid", f"{request.url} is not a URL")
        if not any(self._covers(wanted, target) for wanted in self._hosts):
            raise HostError("refused", f"the host {target.netloc} is not among Wants.hosts")
        body = request.body or b""
        if any("{{secret:" in value for _, value in request.headers) and target.scheme != "https":
            raise HostError("refused", "a secret is sent over https only")
        seen = SeenRequest(request.method, request.url, {name.lower(): self._header(value, body) for name, value in request.headers}, body)
        self._requests.append(seen)
        try:
            answer = self._servers(seen) if self._servers else None
        except HttpError as error:
            raise HostError(error.kind, error.detail) from None
        if answer is None:
            raise AssertionError(f"the script has no answer to {seen.method} {seen.url}: give Script(…, http=lambda request: Response(…))")
        content = answer.body
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else dumps(content)).encode()
        return answer.status, list(answer.headers.items()), content

    def _header(self, value: str, body: bytes) -> str:
        if signed := re.fullmatch(r"\{\{hmac-sha256:([^}]+)\}\}", value):
            return hmac.new(self._secret(signed[1]).encode(), body, hashlib.sha256).hexdigest()
        return re.sub(r"\{\{secret:([^}]+)\}\}", lambda found: self._secret(found[1]), value)

    def _secret(self, name: str) -> str:
        if name not in self._secrets:
            raise HostError("refused", f"there is no secret {name}")
        value: str = self._secrets[name]
        return value

    def _covers(self, wanted: str, target: Any) -> bool:
        """Whether an entry of ``Wants.hosts`` allows this target, by the engine's rules."""
        if not wanted.startswith("="):
            value: Any = self._config
            for part in wanted.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if not isinstance(value, str):
                return False
            wanted = f"={urlsplit(value).netloc if '://' in value else value}"
        host, _, port = wanted[1:].lower().partition(":")
        matches = target.hostname.endswith(host[1:]) if host.startswith("*.") else target.hostname == host
        return matches and port in ("", str(target.port or {"https": 443, "http": 80}[target.scheme]))


class _Host:
    def __init__(self, script: Script, chance: random.Random, web: _Web) -> None:
        self._script = script
        self._chance = chance
        self._web = web

    def log(self, level: str, text: str) -> None:
        self._script.log.append((level, text))

    def now_millis(self) -> int:
        return self._script._now

    def random_bytes(self, length: int) -> bytes:
        return self._chance.randbytes(min(length, 65_536))

    def kv_get(self, key: str) -> str | None:
        return self._script._store.granted().get(key)

    def kv_list(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        entries = self._script._store.granted()
        keys = sorted((key for key in entries if key.startswith(prefix)), key=str.encode)
        return [(key, entries[key]) for key in keys if after is None or key.encode() > after.encode()][: min(limit, 256)]

    def http_send(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        return self._web.send(request)
