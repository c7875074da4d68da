"""Tries, in the component, what differs there from a test in Python: the engine's clock, chance, output and errors."""

import random
import sys
import time
import traceback
import uuid
from datetime import date, datetime, timedelta, timezone

from pombo_plugin import Automation, HttpError, KvError, Message, StatusChange, StoredFile, Turn, Wants, export


@export
class Probe(Automation):
    name = "probe"
    version = "0.1.0"
    display_name = "Sonda ✓"
    wants = Wants(hosts=["=example.org"], kv_bytes=1000, cpu_millis=5, memory_bytes=1 << 26, events_per_minute=60)
    secret_fields = ["token"]

    def on_message(self, turn: Turn, message: Message) -> None:
        getattr(self, message.text)(turn)

    def clock(self, turn: Turn) -> None:
        shown = datetime.now(timezone.utc)
        same = shown == turn.now and isinstance(turn.now, datetime) and int(time.time() * 1000) == int(turn.now.timestamp() * 1000)
        turn.reply(f"{shown.isoformat()} {same} {date.today().isoformat()} {datetime.strptime('2026-01-02', '%Y-%m-%d').day}")

    def chance(self, turn: Turn) -> None:
        turn.reply(f"{random.random()} {turn.random()} {uuid.uuid4()} {turn.random_bytes(2).hex()}")

    def output(self, turn: Turn) -> None:
        print("printed", 1)
        print("told", file=sys.stderr)
        turn.log.debug("logged")

    def fail(self, turn: Turn) -> None:
        turn.reply("never sent")
        raise RuntimeError("não deu")

    def caught(self, turn: Turn) -> None:
        try:
            self.fail(turn)
        except RuntimeError:
            turn.log.warn(traceback.format_exc().splitlines()[-1])

    def files(self, turn: Turn) -> None:
        said = []
        for attempt in (lambda: open("/etc/passwd"), lambda: __import__("ftplib"), lambda: time.sleep(1)):
            try:
                attempt()
            except Exception as error:
                said.append(type(error).__name__)
        turn.reply(" ".join(said))

    def store(self, turn: Turn) -> None:
        try:
            turn.kv.set("b", 2)
            turn.state = [turn.kv.list(), turn.kv.get("a")]
        except KvError as error:
            turn.reply(error.kind)

    def web(self, turn: Turn) -> None:
        try:
            response = turn.http.send("https://example.org/x", json={"n": "é"}, timeout=timedelta(seconds=2))
            turn.reply(f"{response.status} {response.headers} {response.text()}")
        except HttpError as error:
            turn.reply(f"{error.kind}")

    def actions(self, turn: Turn) -> None:
        turn.reply("a", quote=True, delay=timedelta(seconds=1), label="l")
        turn.send_template("{x|y}", {"n": 1})
        turn.send_file("https://example.org/a.png", caption="c")
        turn.send_file(StoredFile("f", "a.pdf", "application/pdf", 5_000_000_000), voice_note=True)
        turn.react("👍")
        turn.set_timer("t", timedelta(days=3), {"a": 1})
        turn.cancel_timer("u")
        turn.tag("a")
        turn.untag("b")
        turn.update_contact(name="Ana", active=True)
        turn.assign(None)
        turn.emit("e", [1])
        turn.mark_read()
        turn.hand_over("why")

    def on_status(self, turn: Turn, change: StatusChange) -> None:
        turn.reply(f"{change.label} {change.status} {change.reason}")
