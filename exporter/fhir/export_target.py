"""Which address may be asked for the status of an export job: one on our own base, for one job, and nothing else.

Whoever can reach `/probe` chooses the target, and the request carries our credentials. So a target is taken apart and
checked by an allow-list, and the URL that is requested is rebuilt from our own base. No message repeats any of it.

See docs/design.md#export-jobs.
"""

import re

from ..errors import LinkRefused, TargetRefused
from . import links

_JOB_ID = r"[A-Za-z0-9._-]{1,64}"
_BARE = re.compile(_JOB_ID)
_ADDRESS = re.compile(rf"(?P<path>[^?#]*)\?_jobId=(?P<job>{_JOB_ID})")


def status_address(base: str, path: str, target: str) -> str:
    """Return the address to ask for `target`; raises TargetRefused.

    A target is the status URL that the kick-off answered with, absolute or relative to `base`, or the id of the job
    alone. `path` is `--probe.path`. In its own path `%24` is `$`, as some servers write it; no other escape is read.
    """
    if _BARE.fullmatch(target):
        return f"{base}/{path}?_jobId={target}"
    found = _ADDRESS.fullmatch(target)
    if found is None:
        raise TargetRefused(
            "The target is no status URL of an export job: it needs the query _jobId=… with a job id, and no other."
        )
    try:
        address = links.resolve(base, found["path"].replace("%24", "$"))
    except LinkRefused:
        address = ""
    if not address.endswith(f"/{path}"):  # raised here, without the context of the other error
        raise TargetRefused("The target is not on this exporter's own FHIR server, or does not end in --probe.path.")
    return f"{address}?_jobId={found['job']}"
