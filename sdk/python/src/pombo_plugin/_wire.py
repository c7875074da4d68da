"""The world's records as plain Python, so that the SDK runs without the component's generated bindings.

A variant is a :class:`Case`. The component's entry turns the generated types into these and back (:mod:`pombo_plugin._guest`), the
test kit makes them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Case:
    """A case of a variant, by its name in the world."""

    tag: str
    value: Any = None


@dataclass
class Wants:
    hosts: list[str]
    kv_bytes: int
    cpu_millis: int
    memory_bytes: int
    events_per_minute: int


@dataclass
class Description:
    name: str
    version: str
    display_name: str
    config_schema: str
    secret_fields: list[str]
    events: list[str]
    observer: bool
    wants: Wants


@dataclass
class Conversation:
    id: str
    connector: str
    channel: str
    chat: str
    is_group: bool
    contact_name: str | None
    tags: list[str]
    assignee: str | None
    opened_at_millis: int


@dataclass
class StoredFile:
    id: str
    filename: str
    content_type: str
    size: int


@dataclass
class Attachment:
    kind: str
    file: StoredFile | None
    caption: str | None


@dataclass
class Location:
    latitude: str
    longitude: str
    name: str | None


@dataclass
class Edit:
    message: str
    text: str


@dataclass
class Other:
    kind: str
    json: str


@dataclass
class Message:
    id: str
    sender: str
    sender_name: str | None
    text: str
    content: Case
    reply_to: str | None
    mentions: list[str]
    sent_at_millis: int


@dataclass
class ReceivedReaction:
    message: str
    sender: str
    emoji: str


@dataclass
class StatusChange:
    message: str
    label: str | None
    status: str
    reason: str | None


@dataclass
class Timer:
    name: str
    payload: str
    due_at_millis: int


@dataclass
class Start:
    input: str
    by: str


@dataclass
class Webhook:
    content_type: str
    body: str


@dataclass
class Event:
    id: str
    at_millis: int
    attempt: int
    conversation: Conversation
    config: str
    body: Case


@dataclass
class Template:
    text: str
    variables: str


@dataclass
class FileContent:
    file: Case
    caption: str | None
    voice_note: bool


@dataclass
class SentReaction:
    message: str
    sender: str | None
    emoji: str


@dataclass
class Send:
    content: Case
    reply_to: str | None
    delay_millis: int
    label: str | None


@dataclass
class KvWrite:
    key: str
    value: str | None


@dataclass
class NewTimer:
    name: str
    delay_millis: int
    payload: str


@dataclass
class ContactUpdate:
    name: str | None
    active: bool | None


@dataclass
class Emitted:
    kind: str
    json: str


@dataclass
class Outcome:
    state: str | None
    actions: list[Case]
    claim: bool
