"""The SDK has a place for everything in the world: what an author writes, and the test kit.

The lists are read from the world's text, so that a new kind of event or action fails here until it is there too.
"""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from importlib import resources
from typing import Any

import pombo_plugin
from pombo_plugin import Automation, Message, Turn, Wants
from pombo_plugin import _automation as engine
from pombo_plugin import _wire as wire
from pombo_plugin._events import HANDLERS
from pombo_plugin.testing import Script

WORLD = resources.files("pombo_plugin").joinpath("wit", "automation.wit").read_text()


def cases(declared: str) -> set[str]:
    """Names of the cases of a variant or an enum of the world."""
    text = re.sub("//.*", "", WORLD)
    _, found, rest = text.partition(declared + " {")
    assert found, declared
    names = (re.sub(r"\(.*", "", name, flags=re.DOTALL).strip() for name in rest[: rest.index("}")].split(","))
    return {name for name in names if name}


def witness(on_message: Any) -> tuple[type[Automation], set[str]]:
    """An automation that listens to everything, and the kinds of event that it was called for."""
    seen: set[str] = set()

    def handler(method: str) -> Any:
        def handle(self: Automation, turn: Turn, *argument: Any) -> None:
            seen.add(turn.event.kind)
            if method == "on_message":
                on_message(turn)

        return handle

    members = {method: handler(method) for method in HANDLERS.values()}
    return type("Witness", (Automation,), {"name": "witness", "version": "0.1.0", "wants": Wants(kv_bytes=1000), **members}), seen


def test_every_kind_of_event_has_a_handler_whose_argument_can_be_imported() -> None:
    assert set(HANDLERS) == cases("enum event-kind") == cases("variant event-body")
    assert {name for name in vars(Automation) if name.startswith("on_")} == set(HANDLERS.values())
    for method in HANDLERS.values():
        _, *parameters = inspect.signature(getattr(Automation, method)).parameters.values()
        assert {str(parameter.annotation) for parameter in parameters} <= set(pombo_plugin.__all__), method


def test_the_test_kit_brings_about_every_kind_of_event() -> None:
    def greet(turn: Turn) -> None:
        turn.reply("hello", label="greeting")
        turn.set_timer("later", timedelta(hours=1))

    automation, seen = witness(greet)
    chat = Script(automation)
    chat.says("hi")
    chat.status("greeting", "read")
    chat.reacts("👍", "m1")
    chat.starts()
    chat.calls({})
    chat.advance(hours=1)
    assert seen == cases("variant event-body")


def test_a_turn_has_a_way_to_every_action_and_the_test_kit_carries_it_out() -> None:
    asked: set[str] = set()

    def do_everything(turn: Turn) -> None:
        turn.reply("hello")
        turn.kv.set("key", 1)
        turn.set_timer("later", timedelta(hours=1))
        turn.cancel_timer("later")
        turn.tag("new")
        turn.untag("new")
        turn.update_contact(name="Ana")
        turn.assign("maria")
        turn.emit("lead")
        turn.mark_read()
        turn.hand_over("asked for a person")
        asked.update(action.tag for action in turn._outcome().actions)

    Script(witness(do_everything)[0]).says("hi")
    assert asked == cases("variant action")


def test_an_event_or_a_content_of_a_newer_engine_is_passed_over() -> None:
    class Old(Automation):
        name = "old"
        version = "0.1.0"

        def on_message(self, turn: Turn, message: Message) -> None:
            turn.reply(repr(message.content))

    def outcome(body: wire.Case, state: str | None = None) -> wire.Outcome:
        conversation = wire.Conversation("c", "k", "x", "a", False, None, [], None, 0)
        return engine.handle(Old, Script(Old)._host, wire.Event("e", 0, 1, conversation, "{}", body), state)

    unknown = wire.Case("poll-answered", 1)
    assert outcome(unknown) == wire.Outcome(None, [], False)
    assert outcome(unknown, '{"kept":1}') == wire.Outcome('{"kept":1}', [], False)
    poll = wire.Message("m", "a", None, "", wire.Case("poll", "?"), None, [], 0)
    (action,) = outcome(wire.Case("message-received", poll)).actions
    assert action.value.content.value == "Other(kind='poll', data=None)"
