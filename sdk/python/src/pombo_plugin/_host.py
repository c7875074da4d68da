"""The engine's key/value store and HTTP client, as a turn offers them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from . import _wire as wire
from ._events import Json, dumps, parse

MAX_KEY = 512
MAX_VALUE = 1 << 20
PAGE = 256


class HostError(Exception):
    """A case of one of the world's error variants; never reaches an automation."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Host(Protocol):
    """The world's imports. Raises :class:`HostError`."""

    def log(self, level: str, text: str) -> None: ...
    def now_millis(self) -> int: ...
    def random_bytes(self, length: int) -> bytes: ...
    def kv_get(self, key: str) -> str | None: ...
    def kv_list(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]: ...
    def http_send(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]: ...


@dataclass
class Request:
    """A request in the world's shape."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes | None
    timeout_millis: int | None


class KvError(Exception):
    """The key/value store did not answer. ``kind`` is ``refused`` (not granted, see ``Wants.kv_bytes``) or ``unavailable``."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"the key/value store answered {kind}: {detail}")
        self.kind = kind


class HttpError(Exception):
    """A request got no response.

    ``kind`` is ``refused`` (not granted), ``invalid`` (malformed), ``not-connected`` (nothing was sent), ``interrupted`` (it may have
    been carried out) or ``too-large`` (the response).
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"the request failed ({kind}): {detail}")
        self.kind = kind
        self.detail = detail


Answer = TypeVar("Answer")


def _ask(question: Callable[[], Answer], failure: type[KvError] | type[HttpError]) -> Answer:
    try:
        return question()
    except HostError as error:
        raise failure(error.kind, str(error)) from None


class Kv:
    """The automation's own store, shared by its conversations. Values are JSON. Reads see the writes of the same turn."""

    def __init__(self, host: Host, actions: list[wire.Case]) -> None:
        self._host = host
        self._actions = actions
        self._written: dict[str, str | None] = {}

    def get(self, key: str, default: Json = None) -> Json:
        """The value; the default if there is none."""
        text = self._written[key] if key in self._written else _ask(lambda: self._host.kv_get(key), KvError)
        return default if text is None else parse(text)

    def list(self, prefix: str = "", *, after: str | None = None, limit: int = PAGE) -> dict[str, Json]:
        """Lists entries whose key starts with the prefix, in byte order, after the key ``after``; at most 256."""
        wanted = min(limit, PAGE)
        found: dict[str, str] = {}
        # Keys deleted in this turn leave gaps, so that many more entries are requested.
        start = after
        while True:
            page = _ask(lambda: self._host.kv_list(prefix, start, PAGE), KvError)
            found.update((key, value) for key, value in page if key not in self._written)
            if len(page) < PAGE or len(found) >= wanted:
                break
            start = page[-1][0]
        for key, value in self._written.items():
            if value is not None and key.startswith(prefix) and (after is None or key.encode() > after.encode()):
                found[key] = value
        return {key: parse(found[key]) for key in sorted(found, key=str.encode)[:wanted]}

    def set(self, key: str, value: Json) -> None:
        """Writes the value, together with the other actions of this turn."""
        text = dumps(value)
        if len(text.encode()) > MAX_VALUE:
            raise ValueError(f"the value of {key!r} is larger than 1 MiB")
        self._write(key, text)

    def delete(self, key: str) -> None:
        """Deletes the key, together with the other actions of this turn."""
        self._write(key, None)

    def _write(self, key: str, text: str | None) -> None:
        if not 0 < len(key.encode()) <= MAX_KEY:
            raise ValueError("a key is a text of 1 to 512 bytes")
        self._written[key] = text
        self._actions.append(wire.Case("write-kv", wire.KvWrite(key, text)))


@dataclass(frozen=True)
class HttpResponse:
    """The response to a request."""

    status: int
    #: The headers by lower-case name.
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is from 200 to 299."""
        return 200 <= self.status < 300

    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """The body parsed as JSON."""
        return json.loads(self.body)


class Http:
    """Requests to granted hosts.

    A header value may hold ``{{secret:NAME}}``, replaced by the engine with the secret field NAME, over TLS only; the header value
    ``{{hmac-sha256:NAME}}`` becomes the HMAC of the body. Never put what people write into a header. Redirects are not followed. An
    event whose handling fails is handled again, and so are its requests: give ``idempotency-key: turn.event.id`` where the other side
    takes it.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def send(
        self,
        url: str,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        json: Json = None,
        timeout: timedelta | None = None,
    ) -> HttpResponse:
        """Sends a request and waits for the response. The method is ``POST`` with a body, otherwise ``GET``. Raises :class:`HttpError`
        if there is no response."""
        wanted = list((headers or {}).items())
        if json is not None:
            body = dumps(json)
            if not any(name.lower() == "content-type" for name, _ in wanted):
                wanted.append(("content-type", "application/json"))
        request = Request(
            method=(method or ("GET" if body is None else "POST")).upper(),
            url=url,
            headers=[(name, str(value)) for name, value in wanted],
            body=body.encode() if isinstance(body, str) else body,
            timeout_millis=None if timeout is None else round(timeout.total_seconds() * 1000),
        )
        status, answered, content = _ask(lambda: self._host.http_send(request), HttpError)
        by_name: dict[str, str] = {}
        for name, value in answered:
            name = name.lower()
            by_name[name] = f"{by_name[name]}, {value}" if name in by_name else value
        return HttpResponse(status, by_name, content)
