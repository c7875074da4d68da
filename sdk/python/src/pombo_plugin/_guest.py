"""The component's side: the generated bindings as the SDK's host, and the world's two exports.

Loaded before the automation's own module, so that clock, chance and output are the engine's from the start. While a component is
built its modules are loaded without a host: then the clock stands at 0, chance is the same always, and nothing is written.
"""

from __future__ import annotations

import builtins
import datetime
import gc
import importlib
import io
import linecache
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any

import wit_world
from componentize_py_types import Err
from wit_world.imports import clock, http, kv, log, types
from wit_world.imports import random as chance

from . import _automation as automation
from . import _wire as wire
from ._host import HostError, Request


def _python_name(tag: str) -> str:
    return "".join(word.capitalize() for word in tag.split("-"))


def _generated(variant: str, case: wire.Case, value: Any) -> Any:
    """A case as an object of the generated type."""
    made = getattr(types, f"{variant}_{_python_name(case.tag)}")
    return made(value) if made.__dataclass_fields__ else made()


def _case(value: Any) -> wire.Case:
    """A generated case of a variant as the SDK's type: `EventBody_TimerFired` is `timer-fired`."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(value).__name__.split("_", 1)[1])
    return wire.Case(words[1:], getattr(value, "value", None))


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Err as error:
        case = _case(error.value)
        raise HostError(case.tag, str(case.value)) from None


class _Host:
    def log(self, level: str, text: str) -> None:
        log.log(getattr(log.Level, level.upper()), text)

    def now_millis(self) -> int:
        return clock.now_millis()

    def random_bytes(self, length: int) -> bytes:
        return chance.bytes(length)

    def kv_get(self, key: str) -> str | None:
        value: str | None = _asked(lambda: kv.get(key))
        return value

    def kv_list(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        return [(entry.key, entry.value) for entry in _asked(lambda: kv.list(prefix, after, limit))]

    def http_send(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = [http.Header(name, value) for name, value in request.headers]
        asked = http.Request(request.method, request.url, headers, request.body, request.timeout_millis)
        response = _asked(lambda: http.send(asked))
        return response.status, [(header.name, header.value) for header in response.headers], response.body


# Modules that the standard library loads on first use are loaded now, while there are files.
for _name in ("_strptime", "encodings.idna"):
    importlib.import_module(_name)

_host = _Host()
_called = False


class _Output(io.TextIOBase):
    """Sends printed lines to the plugin's log."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        if _called:
            for line in lines:
                _host.log(self._level, line)
        return len(text)


def _now_millis() -> int:
    return clock.now_millis() if _called else 0


class _AnyDatetime(type):
    """Treats dates that were created before the clock was replaced as dates too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.__mro__[1])


class _Datetime(datetime.datetime, metaclass=_AnyDatetime):
    """Uses the engine's clock."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        shown = cls(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(milliseconds=_now_millis())
        return shown.replace(tzinfo=None) if tz is None else shown.astimezone(tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now()

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(datetime.date, metaclass=_AnyDatetime):
    """Uses the engine's clock."""

    @classmethod
    def today(cls) -> Any:
        shown = _Datetime.now()
        return cls(shown.year, shown.month, shown.day)


class _NothingElse:
    """Refuses imports after the build, because there are no files then."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        raise ModuleNotFoundError(
            f"{name} is imported while an event is handled; import it at the top of the automation's module, to have it in the component",
            name=name,
        )


def _no_files(*given: object, **named: object) -> Any:
    raise PermissionError("an automation has no files; keep what it needs in turn.state or turn.kv")


def _no_sleep(seconds: float) -> None:
    raise RuntimeError("an automation does not sleep; turn.set_timer calls it again later")


def _random_bytes(length: int) -> bytes:
    # The world returns at most 64 KiB per call.
    parts = [chance.bytes(min(length - start, 65_536)) for start in range(0, length, 65_536)]
    return b"".join(parts) if _called else bytes(length)


def _replace() -> None:
    """Redirects calls to the operating system to the engine."""
    time.time = lambda: _now_millis() / 1000
    time.time_ns = lambda: _now_millis() * 1_000_000
    time.monotonic = time.perf_counter = time.time
    time.monotonic_ns = time.perf_counter_ns = time.time_ns
    time.sleep = _no_sleep
    datetime.datetime = _Datetime  # type: ignore[misc]
    datetime.date = _Date  # type: ignore[misc]
    random.seed(1)
    os.urandom = _random_bytes
    random._urandom = _random_bytes  # type: ignore[attr-defined]
    sys.stdout = _Output("info")
    sys.stderr = _Output("error")
    # Tracebacks do not show source lines.
    linecache.getlines = lambda filename, module_globals=None: []
    linecache.checkcache = lambda filename=None: None


def _close() -> None:
    """Forgets the build's files, which no longer exist at run time."""
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _NothingElse]
    builtins.open = io.open = _no_files


_replace()


class WitWorld(wit_world.WitWorld):
    """The object from which componentize-py makes the component's exports."""

    def describe(self) -> types.Description:
        description = automation.describe(automation.exported())
        kinds = [getattr(types.EventKind, event.upper().replace("-", "_")) for event in description.events]
        return types.Description(
            description.name, description.version, description.display_name, description.config_schema, description.secret_fields,
            kinds, description.observer, types.Wants(**vars(description.wants)),
        )

    def handle(self, event: types.Event, state: str | None) -> types.Outcome:
        global _called
        _called = True
        _close()
        random.seed(chance.number())
        try:
            outcome = automation.handle(automation.exported(), _host, _read(event), state)
        except Exception as error:
            log.log(log.Level.ERROR, traceback.format_exc())
            raise Err(f"{type(error).__name__}: {error}") from None
        return types.Outcome(outcome.state, [_action(action) for action in outcome.actions], outcome.claim)


def warm() -> None:
    """Handles some made-up events while the component is built.

    The interpreter adapts its code to what it runs, by writing to it. Each call begins with the memory that the component was built
    with: what is adapted there is fast, and is not written to, and so not put back, once a call. The automation itself is not called.
    """

    class Nobody(automation.Automation):
        name = "nobody"
        version = "0.0.0"

        def on_message(self, turn: Any, message: Any) -> None:
            turn.state["count"] = 1
            turn.reply(message.text)

    for state in [None, '{"count":0}'] * 50:
        conversation = types.Conversation("id", "id", "channel", "chat", False, "name", ["tag"], None, 0)
        message = types.Message("id", "sender", "name", "text", types.Content_Text("text"), None, [], 0)
        event = types.Event("id", 0, 1, conversation, '{"key":"value"}', types.EventBody_MessageReceived(message))
        outcome = automation.handle(Nobody, _host, _read(event), state)
        types.Outcome(outcome.state, [_action(action) for action in outcome.actions], outcome.claim)
    # The objects that exist by now stay, so a collection within a call looks only at the objects of the call.
    gc.collect()
    gc.freeze()


def _read(event: types.Event) -> wire.Event:
    body = _case(event.body)
    if body.tag == "message-received":
        body.value.content = _case(body.value.content)
    elif body.tag == "status-changed":
        body.value.status = body.value.status.name.lower()
    return wire.Event(event.id, event.at_millis, event.attempt, wire.Conversation(**vars(event.conversation)), event.config, body)


def _action(action: wire.Case) -> Any:
    value = action.value
    if action.tag == "send":
        content = value.content.value
        if value.content.tag == "file":
            content = types.FileContent(_generated("File", content.file, content.file.value), content.caption, content.voice_note)
        value = types.Send(_generated("Outgoing", value.content, content), value.reply_to, value.delay_millis, value.label)
    return _generated("Action", action, value)
