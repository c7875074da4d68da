"""The test kit follows the engine's rules, and the SDK gives and takes what its types say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from pombo_plugin import (
    Attachment,
    Automation,
    Deleted,
    HttpError,
    KvError,
    Location,
    Message,
    Reaction,
    Start,
    StatusChange,
    StoredFile,
    Text,
    Timer,
    Turn,
    Wants,
    WebhookCall,
)
from pombo_plugin.testing import Response, Script, SeenRequest, Sent


def automation(on_message: Any = None, **members: Any) -> type[Automation]:
    """An automation of one handler or a few."""
    if on_message is not None:
        members["on_message"] = lambda self, turn, message: on_message(turn, message)
    return type("Probe", (Automation,), {"name": "probe", "version": "0.1.0", **members})


class TestATurnIsDoneAsAWholeOrNotAtAll:
    class Failing(Automation):
        name = "failing"
        version = "0.1.0"
        initial_state = {"seen": 0}
        wants = Wants(kv_bytes=1000)

        def on_message(self, turn: Turn, message: Message) -> None:
            turn.state["seen"] += 1
            turn.reply(f"seen {turn.state['seen']}")
            turn.kv.set("last", message.text)
            turn.set_timer("later", timedelta(hours=1))
            turn.tag("seen")
            if message.text == "fail" and turn.event.attempt < 2:
                raise RuntimeError("not now")

    def test_an_error_leaves_nothing_behind(self) -> None:
        chat = Script(self.Failing)
        with pytest.raises(RuntimeError, match="not now"):
            chat.says("fail")
        assert (chat.state, chat.sent, chat.kv, chat.timers, chat.tags) == (None, [], {}, {}, [])

    def test_the_event_is_handled_again_with_the_next_attempt(self) -> None:
        chat = Script(self.Failing)
        with pytest.raises(RuntimeError):
            chat.says("fail")
        chat.retry()
        assert chat.sent == [Sent(text="seen 1")]
        assert chat.state == {"seen": 1}
        with pytest.raises(AssertionError, match="no event failed"):
            chat.retry()

    def test_writes_beyond_what_it_asks_for_are_refused_as_a_whole(self) -> None:
        chat = Script(self.Failing)
        with pytest.raises(ValueError, match="Wants.kv_bytes"):
            chat.says("x" * 1000)
        assert (chat.state, chat.sent) == (None, [])


class TestState:
    def test_is_json(self) -> None:
        def remember(turn: Turn, message: Message) -> None:
            turn.state["pair"] = (1, 2)

        chat = Script(automation(remember))
        chat.says("x")
        assert chat.state == {"pair": [1, 2]}

        def break_it(turn: Turn, message: Message) -> None:
            turn.state["now"] = turn.now

        with pytest.raises(TypeError, match="not JSON serializable"):
            Script(automation(break_it)).says("x")

    def test_that_was_never_touched_is_not_kept_and_none_forgets_it(self) -> None:
        def count(turn: Turn, message: Message) -> None:
            if message.text == "count":
                turn.state["n"] += 1
            elif message.text == "forget":
                turn.state = None

        chat = Script(automation(count, initial_state={"n": 0}))
        chat.says("look")
        assert chat.state is None
        chat.says("count")
        chat.says("count")
        assert chat.state == {"n": 2}
        chat.says("forget")
        assert chat.state is None
        chat.says("count")
        assert chat.state == {"n": 1}


class TestTimers:
    class Timed(Automation):
        name = "timed"
        version = "0.1.0"

        def on_message(self, turn: Turn, message: Message) -> None:
            name, *minutes = message.text.split()
            if minutes:
                turn.set_timer(name, timedelta(minutes=int(minutes[0])), {"minutes": minutes[0]})
            else:
                turn.cancel_timer(name)

        def on_timer(self, turn: Turn, timer: Timer) -> None:
            turn.reply(f"{timer.name} {timer.payload['minutes']} {turn.now:%H:%M} {timer.due_at == turn.now}")
            if timer.name == "again":
                turn.set_timer("again", timedelta(minutes=20), {"minutes": 20})

    START = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)

    def test_fire_in_their_order_each_at_its_time(self) -> None:
        chat = Script(self.Timed, now=self.START)
        for text in ("b 30", "a 10", "again 25"):
            chat.says(text)
        chat.advance(hours=1)
        assert chat.texts == ["a 10 08:10 True", "again 25 08:25 True", "b 30 08:30 True", "again 20 08:45 True"]
        assert chat.now == self.START + timedelta(hours=1)
        assert chat.timers == {"again": self.START + timedelta(minutes=65)}

    def test_are_one_for_each_name_and_can_be_taken_back(self) -> None:
        chat = Script(self.Timed)
        for text in ("a 10", "a 40", "b 10", "b"):
            chat.says(text)
        chat.advance(minutes=39)
        assert chat.sent == []
        chat.advance(minutes=1)
        assert len(chat.texts) == 1

    def test_wait_while_a_person_is_in_charge(self) -> None:
        chat = Script(self.Timed, now=self.START)
        chat.says("a 10")
        chat.pause("lunch")
        chat.advance(hours=2)
        assert chat.sent == []
        chat.says("b 1")
        assert chat.claimed is None
        chat.resume()
        assert chat.texts == ["a 10 10:00 False"]

    @pytest.mark.parametrize("minutes", [0, 401 * 1440])
    def test_have_bounds(self, minutes: int) -> None:
        with pytest.raises(ValueError, match="must run from 1 second to 400 days"):
            Script(self.Timed).says(f"a {minutes}")


def test_what_is_sent_with_all_that_can_be_said_about_it() -> None:
    file = StoredFile("f1", "a.pdf", "application/pdf", 3)

    def send(turn: Turn, message: Message) -> None:
        turn.reply("plain")
        turn.reply("quoting", quote=True, delay=timedelta(seconds=2), label="l")
        turn.send_template("{hi|hello} {{name}}", {"name": "Ana"})
        turn.send_file("https://example.org/a.png", caption="a", reply_to="m9")
        turn.send_file(file, voice_note=True)
        turn.react("👍")
        turn.react("", "own-message")

    chat = Script(automation(send))
    chat.says("x", id="m1")
    assert chat.sent == [
        Sent(text="plain"),
        Sent(text="quoting", reply_to="m1", label="l", delay=timedelta(seconds=2)),
        Sent(template="{hi|hello} {{name}}", variables={"name": "Ana"}),
        Sent(file="https://example.org/a.png", caption="a", reply_to="m9"),
        Sent(file=file, voice_note=True),
        Sent(reaction="👍", message="m1"),
        Sent(reaction="", message="own-message"),
    ]
    assert chat.texts == ["plain", "quoting", "{hi|hello} {{name}}", "a"]


def test_every_kind_of_event_arrives_as_its_type_says() -> None:
    seen: list[Any] = []

    class Everything(Automation):
        name = "everything"
        version = "0.1.0"

        def on_opened(self, turn: Turn) -> None:
            seen.append(turn.event.kind)

        def on_message(self, turn: Turn, message: Message) -> None:
            seen.append((message.text, message.content, message.sender, message.reply_to, message.mentions))
            turn.reply("labelled", label="offer")

        def on_status(self, turn: Turn, change: StatusChange) -> None:
            seen.append((change.label, change.status, change.reason))

        def on_reaction(self, turn: Turn, reaction: Reaction) -> None:
            seen.append((reaction.emoji, reaction.message))

        def on_started(self, turn: Turn, start: Start) -> None:
            seen.append(start)

        def on_webhook(self, turn: Turn, call: WebhookCall) -> None:
            seen.append((call.content_type, call.json()))

    chat = Script(Everything, chat="+55")
    image = Attachment("image", StoredFile("f1", "a.png", "image/png", 9), "look")
    chat.says("hi", reply_to="m0", mentions=("+1",))
    chat.sends(image)
    chat.sends(Location(-23.5, -46.6))
    chat.sends(Deleted("m1"))
    chat.status("offer", "failed", "not on the channel")
    chat.reacts("👍", "m7")
    chat.starts({"offer": 7}, "key:k")
    chat.calls({"paid": True})
    assert seen == [
        "conversation-opened",
        ("hi", Text("hi"), "+55", "m0", ["+1"]),
        ("look", image, "+55", None, []),
        ("", Location(-23.5, -46.6), "+55", None, []),
        ("", Deleted("m1"), "+55", None, []),
        ("offer", "failed", "not on the channel"),
        ("👍", "m7"),
        Start({"offer": 7}, "key:k"),
        ("application/json", {"paid": True}),
    ]
    with pytest.raises(AssertionError, match="no such label"):
        chat.status("no such label", "read")


class TestTheConversation:
    def test_is_changed_by_actions(self) -> None:
        def change(turn: Turn, message: Message) -> None:
            turn.tag("new")
            turn.tag("new")
            turn.untag("old")
            turn.log.info(turn.conversation.tags)
            turn.update_contact(name="Ana", active=False)
            turn.assign("maria")
            turn.emit("lead", {"value": 3})
            turn.mark_read()
            turn.hand_over("asked for a person")

        chat = Script(automation(change), tags=("old", "keep"))
        chat.says("help")
        assert chat.tags == ["keep", "new"]
        assert chat.log == [("info", "['keep', 'new']")]
        assert (chat.contact, chat.assignee, chat.marked_read) == ({"name": "Ana", "active": False}, "maria", True)
        assert chat.handed_over == "asked for a person"
        chat.says("anybody?")
        assert chat.emitted == [("lead", {"value": 3})]
        chat.resume()
        chat.says("again")
        assert len(chat.emitted) == 2

    def test_is_claimed_by_an_answer_or_as_it_says(self) -> None:
        def answer(turn: Turn, message: Message) -> None:
            if "answer" in message.text:
                turn.reply("a")
            if "claim" in message.text:
                turn.claim()
            if "pass" in message.text:
                turn.pass_on()

        chat = Script(automation(answer))
        claims = []
        for text in ("nothing", "answer", "claim", "answer pass"):
            chat.says(text)
            claims.append(chat.claimed)
        assert claims == [False, True, True, False]

    def test_is_only_watched_by_an_observer(self) -> None:
        chat = Script(automation(lambda turn, message: turn.tag("seen"), observer=True))
        chat.pause()
        chat.says("a")
        assert chat.tags == ["seen"]
        forbidden = {
            "send": lambda turn, message: turn.reply("a"),
            "hand a conversation over": lambda turn, message: turn.hand_over("a"),
            "assign a conversation": lambda turn, message: turn.assign("a"),
        }
        for what, handler in forbidden.items():
            with pytest.raises(TypeError, match=f"an observer may not {what}"):
                Script(automation(handler, observer=True)).says("a")


class TestTheKeyValueStore:
    def test_reads_what_the_turn_itself_has_written(self) -> None:
        def write(turn: Turn, message: Message) -> None:
            turn.kv.set("b", {"n": 1})
            turn.kv.delete("c")
            turn.state = [turn.kv.get("a"), turn.kv.get("b"), turn.kv.get("c", "gone"), turn.kv.list(after="a")]

        chat = Script(automation(write, wants=Wants(kv_bytes=10_000)), kv={"a": "x", "c": 3, "d": [4]})
        chat.says("x")
        assert chat.state == ["x", {"n": 1}, "gone", {"b": {"n": 1}, "d": [4]}]
        assert chat.kv == {"a": "x", "b": {"n": 1}, "d": [4]}

    @pytest.mark.parametrize(("deleted", "first", "count"), [(0, 0, 256), (100, 100, 200)])
    def test_lists_in_byte_order_page_after_page(self, deleted: int, first: int, count: int) -> None:
        def listing(turn: Turn, message: Message) -> None:
            for number in range(deleted):
                turn.kv.delete(f"k{number:03}")
            turn.state = list(turn.kv.list("k").values())

        entries = {f"k{number:03}": number for number in range(300)}
        chat = Script(automation(listing, wants=Wants(kv_bytes=1 << 20)), kv=entries)
        chat.says("x")
        assert chat.state == list(range(first, first + count))

    @pytest.mark.parametrize(
        ("handler", "room", "error", "says"),
        [
            (lambda turn, message: turn.kv.get("a"), 0, KvError, "answered refused"),
            (lambda turn, message: turn.kv.set("a", 1), 0, ValueError, "Wants.kv_bytes"),
            (lambda turn, message: turn.kv.set("", 1), 99, ValueError, "1 to 512 bytes"),
            (lambda turn, message: turn.kv.set("é" * 257, 1), 99, ValueError, "1 to 512 bytes"),
            (lambda turn, message: turn.kv.set("a", "x" * (1 << 20)), 1 << 30, ValueError, "larger than 1 MiB"),
        ],
    )
    def test_has_bounds(self, handler: Any, room: int, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says):
            Script(automation(handler, wants=Wants(kv_bytes=room))).says("x")


class TestHttp:
    class Calling(Automation):
        name = "calling"
        version = "0.1.0"
        secret_fields = ["token"]
        wants = Wants(hosts=["=api.example.org", "=*.example.net:8443", "shop.url"])

        def on_message(self, turn: Turn, message: Message) -> None:
            headers = {
                "Authorization": "Bearer {{secret:token}}",
                "X-Signature": "{{hmac-sha256:token}}",
                "Idempotency-Key": turn.event.id,
            }
            try:
                response = turn.http.send(message.text, headers=headers, json={"text": "olá"})
                turn.reply(f"{response.status} {response.ok} {response.headers['x-a']} {response.json()['hello']} {turn.config}")
            except HttpError as error:
                turn.reply(error.kind)

    CONFIG = {"token": "s3cret", "shop": {"url": "https://shop.example:444/x"}}

    def test_goes_to_granted_hosts_with_secrets_that_the_automation_never_sees(self) -> None:
        def serve(request: SeenRequest) -> Response:
            return Response(201, {"hello": request.json()["text"]}, {"X-A": request.headers["idempotency-key"][-1]})

        chat = Script(self.Calling, config=self.CONFIG, http=serve)
        chat.says("https://api.example.org/a")
        assert chat.texts == [f"201 True 1 olá {dict(shop=self.CONFIG['shop'])}"]
        request = chat.requests[0]
        assert (request.method, request.body) == ("POST", '{"text":"olá"}'.encode())
        assert request.headers["authorization"] == "Bearer s3cret"
        assert request.headers["content-type"] == "application/json"
        # printf '{"text":"olá"}' | openssl dgst -sha256 -hmac s3cret
        assert request.headers["x-signature"] == "126fde719248df88000070e4e8753537199a7e504730e64a536101e64898b316"

    def test_gives_no_secret_to_whoever_writes_its_name(self) -> None:
        def ask(turn: Turn, message: Message) -> None:
            turn.http.send("https://api.example.org/", json={"text": message.text})

        asking = automation(ask, secret_fields=["token"], wants=Wants(hosts=["=api.example.org"]))
        chat = Script(asking, config=self.CONFIG, http=lambda request: Response())
        chat.says("{{secret:token}}")
        assert [request.body for request in chat.requests] == [b'{"text":"{{secret:token}}"}']

    def test_is_refused_elsewhere(self) -> None:
        chat = Script(self.Calling, config=self.CONFIG, http=lambda request: Response(body={"hello": 1}, headers={"x-a": "1"}))
        for url in (
            "https://evil.example/", "https://a.example.net/", "https://example.net:8443/", "https://shop.example/",
            "http://api.example.org/", "no url",
        ):
            chat.says(url)
        assert chat.texts == ["refused", "refused", "refused", "refused", "refused", "invalid"]
        chat.says("https://a.example.net:8443/")
        chat.says("https://shop.example:444/y")
        assert len(chat.requests) == 2

    def test_tells_of_what_went_wrong(self) -> None:
        def gone(request: SeenRequest) -> Response:
            raise HttpError("interrupted", "gone")

        chat = Script(self.Calling, config=self.CONFIG, http=gone)
        chat.says("https://api.example.org/")
        assert chat.texts == ["interrupted"]
        with pytest.raises(AssertionError, match="the script has no answer"):
            Script(self.Calling, config=self.CONFIG).says("https://api.example.org/")


def test_chance_is_the_scripts() -> None:
    def draw(turn: Turn, message: Message) -> None:
        turn.state = [turn.random(), turn.random(), list(turn.random_bytes(3))]

    def drawn(seed: int) -> Any:
        chat = Script(automation(draw), seed=seed)
        chat.says("x")
        return chat.state

    assert drawn(1) == drawn(1) != drawn(2)
    one, two, _ = drawn(3)
    assert one != two and 0 <= one < 1 and 0 <= two < 1


async def _asynchronous(self: Automation, turn: Turn, message: Message) -> None: ...


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"name": "Not A Name"}, "lower-case words joined by dashes"),
        ({"version": "1"}, "semantic"),
        ({"on_mesage": print}, "there is no event on_mesage"),
        ({"events": ["reaction"]}, "no handler for it"),
        ({"on_message": _asynchronous}, "handlers must be ordinary functions"),
    ],
)
def test_a_class_that_cannot_work_is_refused_with_what_to_change(members: dict[str, Any], says: str) -> None:
    complete = {"name": "probe", "version": "0.1.0", "on_message": lambda self, turn, message: None, **members}
    with pytest.raises(TypeError, match=says):
        Script(type("Probe", (Automation,), complete))
    with pytest.raises(TypeError, match="at least one event"):
        Script(automation())
