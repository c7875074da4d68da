"""Calls a built component as the engine does: a fresh instance for each call, no WASI, the world's imports only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker, Record, Variant

WORLD = "pombo:automation/{}@0.1.0"
NOW = 1_767_614_400_000


def record(**fields: Any) -> Record:
    """A WIT record; underscores stand for dashes."""
    made = Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


def plain(value: Any) -> Any:
    """Records as dicts and variants as pairs, to be compared. wasmtime leaves out the case's name where the value tells it."""
    if isinstance(value, Record):
        return {name.replace("-", "_"): plain(part) for name, part in vars(value).items()}
    if isinstance(value, Variant):
        return (value.tag, plain(value.payload))
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


class Host:
    """What the component asks, and what it is told."""

    def __init__(self, path: Path) -> None:
        self.engine = Engine()
        self.component = Component.from_file(self.engine, str(path))
        self.language = ""
        self.forget()

    def forget(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.kv: dict[str, str] | None = None
        self.requests: list[dict[str, Any]] = []
        #: A case of the error variant, or a response.
        self.response = Variant("refused", "not granted")

    def imports(self) -> set[str]:
        return set(self.component.type.imports(self.engine))

    def exports(self) -> set[str]:
        return set(self.component.type.exports(self.engine))

    def describe(self) -> Any:
        return plain(self._call("describe"))

    def handle(self, body: Variant, state: str | None = None, config: str = "{}") -> Any:
        """The outcome, or the text of the error."""
        event = record(id="e1", at_millis=NOW, attempt=1, conversation=CONVERSATION, config=config, body=body)
        return plain(self._call("handle", event, state))

    def says(self, text: str, state: str | None = None, config: str = "{}") -> Any:
        message = record(
            id="m1", sender="+5511900000002", sender_name="Ana", text=text, content=Variant("text", text),
            reply_to=None, mentions=[], sent_at_millis=NOW,
        )
        return self.handle(Variant("message-received", message), state, config)

    def _call(self, name: str, *given: Any) -> Any:
        store = Store(self.engine)
        linker = Linker(self.engine)
        with linker.root() as root:
            self._offer(root)
        instance = linker.instantiate(store, self.component)
        function = instance.get_func(store, name)
        assert function is not None
        return function(store, *given)

    def _offer(self, root: Any) -> None:
        with root.add_instance(WORLD.format("types")):
            pass
        with root.add_instance(WORLD.format("log")) as log:
            log.add_func("log", lambda _, level, text: self.log.append((level, text)))
        with root.add_instance(WORLD.format("clock")) as clock:
            clock.add_func("now-millis", lambda _: NOW)
        with root.add_instance(WORLD.format("random")) as random:
            random.add_func("number", lambda _: 0x0123_4567_89AB_CDEF)
            random.add_func("bytes", lambda _, length: bytes(index % 251 + 1 for index in range(length)))
        with root.add_instance(WORLD.format("kv")) as kv:
            kv.add_func("get", self._kv_get)
            kv.add_func("list", self._kv_list)
        with root.add_instance(WORLD.format("http")) as http:
            http.add_func("send", self._http_send)

    def _kv_get(self, _: Any, key: str) -> Any:
        if self.kv is None:
            return Variant("refused", "not granted")
        return self.kv.get(key)

    def _kv_list(self, _: Any, prefix: str, after: str | None, limit: int) -> Any:
        if self.kv is None:
            return Variant("refused", "not granted")
        keys = sorted(key for key in self.kv if key.startswith(prefix) and (after is None or key > after))
        return [record(key=key, value=self.kv[key]) for key in keys[:limit]]

    def _http_send(self, _: Any, request: Record) -> Any:
        self.requests.append(plain(request))
        return self.response


CONVERSATION = record(
    id="c1", connector="k1", channel="whatsapp", chat="+5511900000002", is_group=False, contact_name=None,
    tags=["b"], assignee=None, opened_at_millis=NOW,
)
