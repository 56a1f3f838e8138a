"""Hostile answers to other questions than a poll's: the baseline, both comparisons, and the status of an export job."""

from collections.abc import Iterator

from exporter.demo.server import Request

from ...support import loaded
from ...support.canaries import canary
from ..judge import Case
from ..plays import (
    TEXT,
    answers,
    bombs,
    bundle,
    changed,
    hangs,
    head,
    is_count,
    json_text,
    only,
    resets,
    sends,
)
from ..subject import Kind
from ..wire import Play


def bad() -> Iterator[tuple[str, Play, str]]:
    """Yield one of each kind of bad answer, and its reason."""
    yield "500", answers(500), "server_error"
    yield "401", answers(401), "auth"
    yield "404", answers(404), "client_error"
    yield "302", answers(302, None, ("location", "javascript:alert(1)")), "redirect"
    yield "a page to sign in", answers(200, f"<p>{TEXT}", kind="text/html"), "not_fhir"
    yield "an OperationOutcome with 200", answers(200), "wrong_resource"
    yield "silence", hangs(), "timeout"
    yield "a reset", resets(), "unreachable"
    yield "a cut body", sends(head("Content-Length: 9"), b"{"), "truncated"
    yield "another protocol", sends(b"220 mail\r\n"), "unreachable"
    yield "a bomb", bombs(512), "too_large"
    yield "100,000 arrays in one another", answers(200, b"[" * 100_000), "not_fhir"


def is_comparison(request: Request) -> bool:
    """Recognize the search of the comparison of open Tasks."""
    return any(name == "status:not" for name, _ in request.query)


def is_job(request: Request) -> bool:
    return request.path.endswith("/$export-poll-status")


def is_admin(request: Request) -> bool:
    return request.path.startswith("/fhir/admin/")


def cases() -> Iterator[Case]:
    for does, play, reason in bad():
        yield Case(group="baseline", does=does, play=play, reason=reason, fresh=True, alone=True)
    for does, play, reason in bad():
        open_play = only(is_comparison, play)
        yield Case(group="open comparison", does=does, play=open_play, reason=reason, kind=Kind.COMPARING)
    for does, play, _ in bad():
        admin = only(is_admin, play)
        yield Case(group="Admin API", does=does, play=admin, reason=None, kind=Kind.BASIC, fresh=True, alone=True)
    yield from counts()
    yield from probes()


def counts() -> Iterator[Case]:
    """Yield counts that lie: no counter may follow them."""
    for total in (0, 1, 10**9, -1, 10**30, TEXT, None, 1.5):
        play = only(is_count, changed(bundle(total=total)))
        yield Case(
            group="full comparison", does=f"a total of {str(total)[:12]}", play=play, reason=None, kind=Kind.COMPARING
        )
    for does, play, reason in (
        ("500", answers(500), "server_error"),
        ("silence", hangs(), "timeout"),
        ("404", answers(404), None),
    ):
        yield Case(
            group="full comparison",
            does=f"{does} to counts",
            play=only(is_count, play),
            reason=reason,
            kind=Kind.COMPARING,
        )
    empty = only(is_comparison, changed(bundle(entry=None)))
    yield Case(group="open comparison", does="no open Task at all", play=empty, reason=None, kind=Kind.COMPARING)


def probes() -> Iterator[Case]:
    """Yield hostile answers about an export job: the probe says that it failed, and polls go on."""
    for does, play, reason in bad():
        if does in {"an OperationOutcome with 200", "404", "500"}:  # the server's own words about a job
            continue
        yield Case(group="probe", does=does, play=only(is_job, play), reason=reason, probes=0)
    manifest = answers(
        200, json_text(loaded.manifest() | {"transactionTime": canary("manifest.time")}), kind="application/json"
    )
    yield Case(group="probe", does="a manifest full of canaries", play=only(is_job, manifest), reason=None, probes=1)
    yield Case(group="probe", does="500 with an outcome", play=only(is_job, answers(500)), reason=None, probes=1)
