"""One Task that a person follows: its newest version, and what it says in texts, each matched to a reason.

Rule: a text is kept for `watch --show-notes` alone; it is in no `repr`, no label and no log line.

See docs/watch.md.
"""

from dataclasses import dataclass, field

from msgspec import Raw
from msgspec.json import Decoder

from ..errors import NotFhir, WrongResource
from . import fhir_json
from .bundle import decode_version
from .entry import PageContext, failure_texts
from .fhir_json import decode_or_none
from .model import Instant, Selection, Task
from .reasons import Classify

_ANY = Selection()
"""A person who names a Task wants that one, whatever its tag and code."""

_RESOURCE = Decoder(fhir_json.Resource)
_TASK = Decoder(fhir_json.Task)


@dataclass(frozen=True, slots=True)
class Note:
    """A text of a Task, and the reason that a failed Task would get from it."""

    reason: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WatchedTask:
    """A version of a Task, with its status reason and its notes in their order."""

    task: Task
    notes: tuple[Note, ...] = ()


def decode_task(body: bytes, classify: Classify, server_time: Instant | None) -> WatchedTask:
    """Read the answer to the read of a Task; raises NotFhir or WrongResource. An odd Task is `unparsable`."""
    resource = decode_or_none(Raw(body), _RESOURCE)
    if resource is None:
        raise NotFhir("The response is not a FHIR resource.")
    task = decode_version(body, PageContext(_ANY, classify, server_time))
    if resource.resource_type != "Task" or task is None:
        raise WrongResource("The response is not a Task.")
    source = decode_or_none(Raw(body), _TASK)
    texts = () if source is None else failure_texts(source)
    return WatchedTask(task, tuple(Note(classify((text,)), text) for text in texts))
