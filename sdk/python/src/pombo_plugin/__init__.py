"""Write a Pombo automation: derive from :class:`Automation`, override the handlers you need, and mark the class with :func:`export`.

Runs in the component and, under :mod:`pombo_plugin.testing`, in any Python. The host is handed to it.
"""

from ._automation import Automation, export
from ._events import (
    Attachment,
    Content,
    Conversation,
    Deleted,
    Edit,
    EventInfo,
    Json,
    Location,
    Message,
    Other,
    Reaction,
    Start,
    StatusChange,
    StoredFile,
    Text,
    Timer,
    WebhookCall,
)
from ._host import HttpError, HttpResponse, KvError
from ._turn import Turn, Wants

__all__ = [
    "Attachment",
    "Automation",
    "Content",
    "Conversation",
    "Deleted",
    "Edit",
    "EventInfo",
    "HttpError",
    "HttpResponse",
    "Json",
    "KvError",
    "Location",
    "Message",
    "Other",
    "Reaction",
    "Start",
    "StatusChange",
    "StoredFile",
    "Text",
    "Timer",
    "Turn",
    "Wants",
    "WebhookCall",
    "export",
]
