"""What the target on the command line means: one of a few kinds of thing. PURE: no I/O, no clock.

See docs/watch.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..errors import ConfigurationError
from ..task.lenient import valid_id
from .pace import Pace, every


class Kind(StrEnum):
    """What can be followed; the value of `kind` in `--output json`."""

    EXPORT = "export_job"
    TASK = "task"
    BATCH_JOB = "batch_job"


@dataclass(frozen=True, slots=True)
class KindRow:
    """`prefix` begins a target of this kind; `word` is what people call it."""

    prefix: str
    word: str
    pace: Pace


KINDS: Mapping[Kind, KindRow] = {
    Kind.TASK: KindRow("Task/", "Task", every(5.0)),
    Kind.BATCH_JOB: KindRow("job/", "batch job", Pace(10.0, 60.0)),
    Kind.EXPORT: KindRow("", "export job", Pace(10.0, 60.0)),
}
"""In this order: whatever has no prefix is the status URL of an export job. HAPI moves jobs on once a minute."""

_JOB_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Target:
    """What to follow: `id` without the prefix of its kind; for an export job a status URL or a job id, not checked."""

    kind: Kind
    id: str

    @property
    def word(self) -> str:
        """What people call it."""
        return KINDS[self.kind].word


def read_target(text: str, base: str) -> Target:
    """Tell the kind of a target; raises ConfigurationError. A Task may be given by its address below `base` too."""
    text = text.strip()
    local = text.removeprefix(f"{base}/")
    kind, row = next((kind, row) for kind, row in KINDS.items() if local.startswith(row.prefix))
    id_ = local.removeprefix(row.prefix)
    if kind is Kind.TASK and valid_id(id_) is None:
        raise ConfigurationError(("TARGET: must be Task/ and an id, to watch a Task",))
    if kind is Kind.BATCH_JOB and not _JOB_ID.fullmatch(id_):
        raise ConfigurationError(("TARGET: must be job/ and an id, to watch a batch job",))
    return Target(kind, text if kind is Kind.EXPORT else id_)
