"""The base class of automations, and the functions that the component's two exports call."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, ClassVar, TypeVar

from . import _wire as wire
from ._events import HANDLERS, Message, Reaction, Start, StatusChange, Timer, WebhookCall, read_event
from ._host import Host
from ._turn import Turn, Wants

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


class Automation:
    """An automation: its description and its handlers. It is called for the events whose handlers it overrides."""

    #: Lower-case words joined by dashes, unique in the engine.
    name: ClassVar[str]
    #: A semantic version, for example ``0.1.0``.
    version: ClassVar[str]
    #: The name to show to people; ``name`` if empty.
    display_name: ClassVar[str] = ""
    #: A JSON Schema (2020-12) of the configuration.
    config_schema: ClassVar[dict[str, Any]] = {"type": "object"}
    #: Top-level fields of the configuration that are secret: never in ``turn.config``; for their use see ``turn.http``.
    secret_fields: ClassVar[list[str]] = []
    #: The events to be called for, by their names in the world, if these are not all that it has handlers for.
    events: ClassVar[list[str] | None] = None
    #: Whether it only observes: it then gets every event, even one that another automation claims, and may not send,
    #: hand over or assign.
    observer: ClassVar[bool] = False
    #: What the automation needs beyond being called.
    wants: ClassVar[Wants] = Wants()
    #: The state of a conversation that has none yet.
    initial_state: ClassVar[Any] = {}

    def on_message(self, turn: Turn, message: Message) -> None:
        """Somebody wrote a message."""

    def on_status(self, turn: Turn, change: StatusChange) -> None:
        """A message that the automation sent changed its status."""

    def on_reaction(self, turn: Turn, reaction: Reaction) -> None:
        """Somebody reacted to a message."""

    def on_opened(self, turn: Turn) -> None:
        """A conversation opened; its first event follows."""

    def on_timer(self, turn: Turn, timer: Timer) -> None:
        """A timer of this conversation fired."""

    def on_started(self, turn: Turn, start: Start) -> None:
        """Somebody started the automation by hand."""

    def on_webhook(self, turn: Turn, call: WebhookCall) -> None:
        """Somebody called the automation's webhook."""


AutomationClass = TypeVar("AutomationClass", bound=type[Automation])

_exported: list[type[Automation]] = []


def export(automation: AutomationClass) -> AutomationClass:
    """Marks the class from which the component is built; exactly one in a project."""
    describe(automation)
    _exported.append(automation)
    return automation


def exported() -> type[Automation]:
    """The marked class."""
    if len(_exported) != 1:
        names = ", ".join(automation.__qualname__ for automation in _exported) or "none"
        raise TypeError(f"exactly one class must be marked with @export; marked: {names}")
    return _exported[0]


def describe(automation: type[Automation]) -> wire.Description:
    """The automation's description; raises if it is not valid."""
    name, version = getattr(automation, "name", None), getattr(automation, "version", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TypeError(f'an automation\'s name consists of lower-case words joined by dashes, for example "acme-orders", not {name!r}')
    if not isinstance(version, str) or not _SEMVER.fullmatch(version):
        raise TypeError(f'an automation\'s version is a semantic version, for example "0.1.0", not {version!r}')
    for method, value in vars(automation).items():
        if re.match("on_[a-z]", method) and callable(value) and method not in HANDLERS.values():
            raise TypeError(f"there is no event {method}; there are {', '.join(HANDLERS.values())}")
    handled = [event for event, method in HANDLERS.items() if getattr(automation, method) is not getattr(Automation, method)]
    for event in handled:
        if inspect.iscoroutinefunction(getattr(automation, HANDLERS[event])):
            raise TypeError(f"{HANDLERS[event]} is asynchronous, but handlers must be ordinary functions: leave out async and await")
    events = handled if automation.events is None else automation.events
    if not events:
        raise TypeError("an automation handles at least one event: override on_message or another handler")
    for event in events:
        if event not in handled:
            raise TypeError(f"it lists the event {event} but has no handler for it")
    wants = automation.wants
    return wire.Description(
        name=name,
        version=version,
        display_name=automation.display_name or name,
        config_schema=json.dumps(automation.config_schema),
        secret_fields=list(automation.secret_fields),
        events=events,
        observer=automation.observer,
        wants=wire.Wants(list(wants.hosts), wants.kv_bytes, wants.cpu_millis, wants.memory_bytes, wants.events_per_minute),
    )


def handle(automation: type[Automation], host: Host, event: wire.Event, state: str | None) -> wire.Outcome:
    """Handles an event in a fresh instance; raises what the handler raised.

    An event without a handler is passed over: it changes nothing, and later automations are asked.
    """
    method, argument = read_event(event.body)
    turn = Turn(host, automation.observer, automation.initial_state, event, state, argument)
    if method is not None:
        handler = getattr(automation(), method)
        if argument is None:
            handler(turn)
        else:
            handler(turn, argument)
    return turn._outcome()
