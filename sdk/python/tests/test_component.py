"""Components of both languages, called as the engine calls them: what they import, and how they behave without an operating system."""

from __future__ import annotations

import re
from pathlib import Path

from wasmtime.component import Variant

from component_host import Host, record

WORLD = Path(__file__).parents[3] / "wit" / "automation" / "automation.wit"
PYTHON_COPY = Path(__file__).parents[1] / "src" / "pombo_plugin" / "wit" / "automation.wit"


def text_of(outcome: dict) -> str:
    """The one text that was sent."""
    (sent,) = [value for tag, value in outcome["actions"] if tag == "send"]
    assert sent["content"][0] == "text"
    return sent["content"][1]


def test_the_packages_copy_of_the_world_is_the_engines() -> None:
    assert PYTHON_COPY.read_text() == WORLD.read_text()


def test_it_imports_the_world_and_nothing_else(probe: Host) -> None:
    assert probe.imports() <= {f"pombo:automation/{name}@0.1.0" for name in ("log", "clock", "random", "kv", "http", "types")}
    assert {"describe", "handle"} <= probe.exports()


def test_its_description_arrives(probe: Host) -> None:
    described = probe.describe()
    assert described["display_name"] == "Sonda ✓"
    assert described["events"] == ["message-received", "status-changed"]
    assert described["secret_fields"] == ["token"]
    assert described["wants"] == {
        "hosts": ["=example.org"], "kv_bytes": 1000, "cpu_millis": 5, "memory_bytes": 1 << 26, "events_per_minute": 60,
    }


def test_the_clock_is_the_engines(probe: Host) -> None:
    shown, same, other, day = text_of(probe.says("clock")).split()
    assert shown.startswith("2026-01-05T12:00:00")
    assert same.lower() == "true"
    assert other == {"js": "0", "python": "2026-01-05"}[probe.language]
    assert day == "2"


def test_chance_is_the_engines(probe: Host) -> None:
    assert probe.says("chance") == probe.says("chance")
    numbers = text_of(probe.says("chance")).split()
    assert 0 <= float(numbers[0]) < 1 and 0 <= float(numbers[1]) < 1


def test_what_is_printed_goes_to_the_log(probe: Host) -> None:
    assert probe.says("output")["actions"] == []
    assert probe.log == [("info", "printed 1"), ("error", "told"), ("debug", "logged")]


def test_an_error_is_told_with_its_words_and_logged_with_its_place(probe: Host) -> None:
    assert re.fullmatch(r"(Runtime)?Error: não deu", probe.says("fail"))
    (level, text), = probe.log
    assert level == "error" and "não deu" in text and "fail" in text


def test_what_needs_an_operating_system_is_an_error_and_no_trap(probe: Host) -> None:
    if probe.language == "python":
        assert text_of(probe.says("files")) == "PermissionError ModuleNotFoundError RuntimeError"
        probe.says("caught")
        assert probe.log == [("warn", "RuntimeError: não deu")]


def test_the_store_and_its_refusal(probe: Host) -> None:
    assert text_of(probe.says("store")) == "refused"
    probe.kv = {"a": '"x"', "c": "[3]"}
    outcome = probe.says("store")
    assert outcome["actions"] == [("write-kv", {"key": "b", "value": "2"})]
    listed = {
        "js": '[[{"key":"a","value":"x"},{"key":"b","value":2},{"key":"c","value":[3]}],"x"]',
        "python": '[{"a":"x","b":2,"c":[3]},"x"]',
    }
    assert outcome["state"] == listed[probe.language]


def test_a_request_and_its_errors(probe: Host) -> None:
    assert text_of(probe.says("web")) == "refused"
    assert probe.requests == [{
        "method": "POST", "url": "https://example.org/x", "headers": [{"name": "content-type", "value": "application/json"}],
        "body": '{"n":"é"}'.encode(), "timeout_millis": 2000,
    }]
    probe.response = Variant("too-large", 9)
    assert text_of(probe.says("web")) == "too-large"
    probe.response = record(status=200, headers=[record(name="X-A", value="1")], body="olá".encode())
    assert re.fullmatch(r"200 \{['\"]x-a['\"]: ?['\"]1['\"]\} olá", text_of(probe.says("web")))


def test_every_action_arrives(probe: Host) -> None:
    def send(content: tuple, **given: object) -> tuple:
        return ("send", {"content": content, "reply_to": None, "delay_millis": 0, "label": None, **given})

    stored = {"id": "f", "filename": "a.pdf", "content_type": "application/pdf", "size": 5_000_000_000}
    assert probe.says("actions") == {
        "state": None,
        "claim": True,
        "actions": [
            send(("text", "a"), reply_to="m1", delay_millis=1000, label="l"),
            send(("template", {"text": "{x|y}", "variables": '{"n":1}'})),
            send(("file", {"file": "https://example.org/a.png", "caption": "c", "voice_note": False})),
            send(("file", {"file": stored, "caption": None, "voice_note": True})),
            send(("reaction", {"message": "m1", "sender": "+5511900000002", "emoji": "👍"})),
            ("set-timer", {"name": "t", "delay_millis": 259_200_000, "payload": '{"a":1}'}),
            ("cancel-timer", "u"),
            ("add-tag", "a"),
            ("remove-tag", "b"),
            ("update-contact", {"name": "Ana", "active": True}),
            ("assign", None),
            ("emit", {"kind": "e", "json": "[1]"}),
            ("mark-read", None),
            ("hand-over", "why"),
        ],
    }


def test_a_status_is_its_name(probe: Host) -> None:
    change = record(message="m", label="l", status="delivered", reason=None)
    assert re.fullmatch("l delivered (null|None)", text_of(probe.handle(Variant("status-changed", change))))
