"""The landing page at `/`: HTML from a few figures. Pure: no clock, no I/O; no script, and nothing from other hosts.

Rule: whatever is not a constant here goes through `escape` or is a number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

from ..errors import LedgerError
from ..published import NOT_ASKED, ServerStatus
from ..steps import Progress, WalkKind
from ..task.model import DOCUMENTED, Instant, Status

REFRESH_SECONDS = 15


class TaskCounts(NamedTuple):
    """Tasks at the last complete poll."""

    by_status: Mapping[str, int]
    overdue: int = 0
    stalled: int = 0


@dataclass(frozen=True, slots=True)
class Landing:
    """What the page shows. `server` is the host and port of the FHIR server, never more of its URL.

    `progress` is that of a baseline or long poll that has not ended; `tasks` is None while unknown. `documents` are
    titles and addresses.
    """

    version: str
    server: str
    status: ServerStatus = NOT_ASKED
    ledger_trouble: LedgerError | None = None
    last_complete_poll: Instant | None = None
    progress: Progress | None = None
    tasks: TaskCounts | None = None
    source_payers: int = 0
    documents: Sequence[tuple[str, str]] = ()


STATUS_ORDER: tuple[str, ...] = tuple(dict.fromkeys([*DOCUMENTED, *Status]))
STATUS_COLORS: Mapping[str, str] = {
    Status.COMPLETED: "var(--good)",
    Status.FAILED: "var(--bad)",
    Status.REJECTED: "var(--bad)",
    Status.CANCELLED: "var(--dim)",
    Status.ENTERED_IN_ERROR: "var(--dim)",
}
ENDPOINTS = (
    ("/metrics", "metrics for Prometheus; a scrape polls the FHIR server for changes"),
    ("/probe", "state of one bulk export job of the FHIR server: /probe?target=STATUS_URL"),
    ("/-/healthy", "liveness probe: the process answers"),
    ("/-/ready", "readiness probe: configuration valid and ledger open, whatever the FHIR server does"),
)
NO_TASK = '<p class="empty">No Task yet: the last complete poll found none.</p>\n'
AGE_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #687385; --paper: #f4f6f8; --card: #fff; --line: #e1e6ec;
  --accent: #2f6fde; --good: #1a8754; --bad: #c8352b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --dim: #929eae; --paper: #12161c; --card: #1b2129;
  --line: #2c3541; --accent: #6c9ff2; --good: #45b97c; --bad: #ef6f64; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 3rem 1.25rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 44rem; margin: 0 auto; }
h1 { font-size: 1.6rem; margin: 0; letter-spacing: -.01em; }
h1 small { font-size: .9rem; font-weight: 400; color: var(--dim); letter-spacing: 0; }
h2 { font-size: .8rem; margin: 0 0 .9rem; color: var(--dim); text-transform: uppercase; letter-spacing: .07em; }
p.lead { margin: .2rem 0 1.8rem; color: var(--dim); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem 1.4rem;
  margin-bottom: 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1.1rem; margin: 0; }
dt { color: var(--dim); font-size: .85rem; }
dd { margin: 0; font-size: 1.15rem; font-weight: 600; }
dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--dim); }
.dot { display: inline-block; width: .65em; height: .65em; border-radius: 50%; margin-right: .45em; }
.bar { height: .55rem; border-radius: 4px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; min-width: 3px; border-radius: 4px; }
dl + dl { margin-top: 1.1rem; }
.note { margin-top: 1.2rem; } .note p { margin: 0 0 .4rem; font-size: .9rem; } .past { color: var(--dim); }
.error { border-left: 4px solid var(--bad); padding-left: .8rem; }
table { width: 100%; border-collapse: collapse; }
td, th { padding: .32rem 0; text-align: left; font-weight: 400; }
td.n { text-align: right; width: 6.5rem; padding-right: 1.1rem; font-variant-numeric: tabular-nums; font-weight: 600; }
th { width: 9.5rem; } tr.none { color: var(--dim); } tr.none td.n { font-weight: 400; }
p.empty { margin: 0; color: var(--dim); }
ul { list-style: none; margin: 0; padding: 0; } li { display: flex; padding: .2rem 0; color: var(--dim); }
.paths a { flex: 0 0 8rem; font-family: ui-monospace, Menlo, Consolas, monospace; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .95em; }
"""


def render(landing: Landing, now: Instant) -> bytes:
    """Write the page. `now` is the exporter's clock, which all its times were read from."""
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>fhir-task-exporter</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>fhir-task-exporter <small>{escape(landing.version)}</small></h1>
<p class="lead">Prometheus metrics of payer-to-payer exchange Tasks on a FHIR server.</p>
<section><h2>Status</h2>
{_status(landing, now)}{_ledger(landing.ledger_trouble)}{_error(landing.status, now)}{_progress(landing)}</section>
<section><h2>Tasks by status</h2>
{_tasks(landing.tasks)}</section>
<section><h2>Endpoints</h2>
<ul class="paths">{_paths()}</ul>
</section>
<section><h2>Documents of this version</h2>
<ul>{_documents(landing.documents)}</ul>
</section>
<p class="empty"><code>fhir-task-exporter check</code> diagnoses problems with the connection.</p>
</main>
</body>
</html>
"""
    return text.encode()


def _status(landing: Landing, now: Instant) -> str:
    tasks = landing.tasks
    counts = {
        "Overdue": None if tasks is None else tasks.overdue,
        "Stalled": None if tasks is None else tasks.stalled,
        "Failed": None if tasks is None else tasks.by_status.get(Status.FAILED, 0),
    }
    return f"""<dl>
<div><dt>FHIR server {escape(landing.server)}</dt><dd>{_found(landing.status, now)}</dd></div>
<div><dt>Last complete poll</dt><dd>{_when(landing.last_complete_poll, now)}</dd></div>
<div><dt>Source payers</dt><dd>{landing.source_payers or "none yet"}</dd></div>
</dl>
<dl>
{"".join(f"<div><dt>{name}</dt><dd>{_count(count)}</dd></div>" for name, count in counts.items())}
</dl>
"""


def _found(status: ServerStatus, now: Instant) -> str:
    """Say how the server was found, and since when; the ledger can fail polls of a server that answers."""
    by_server = status.error is None or status.error.by_server
    color, word = {
        None: ("var(--dim)", "not asked yet"),
        True: ("var(--good)", "up"),
        False: ("var(--bad)", "down" if by_server else "polls fail"),
    }[status.up]
    since = "" if status.since is None else f"<small>since {_utc(status.since)} ({_age(status.since, now)})</small>"
    return f'<span class="dot" style="background:{color}"></span>{word}{since}'


def _count(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _error(status: ServerStatus, now: Instant) -> str:
    """Show the last error: with its remedy while it lasts, as a note once polls succeed again."""
    error = status.error
    if error is None:
        return ""
    if status.up:
        return f'<div class="note past"><p>Last error ({_age(error.at, now)}): {escape(error.sentence)}</p></div>\n'
    return f"""<div class="note error"><p><strong>{escape(error.sentence)}</strong></p>
<p>{escape(error.remedy)}</p>
<p class="past">Last tried {_age(error.at, now)}.</p></div>
"""


def _ledger(trouble: LedgerError | None) -> str:
    """Show what has happened to the ledger's file, as long as it lasts."""
    if trouble is None:
        return ""
    return f"""<div class="note error"><p><strong>{escape(str(trouble))}</strong></p>
<p>{escape(trouble.remedy)}</p></div>
"""


def _when(instant: Instant | None, now: Instant) -> str:
    return "none yet" if instant is None else f"{_age(instant, now)}<small>{_utc(instant)}</small>"


def _age(instant: Instant, now: Instant) -> str:
    """Write an age in the largest unit that fits; a clock that was set back gives no negative age."""
    seconds = (now - instant) // 1000
    for size, unit in AGE_UNITS:
        if seconds >= size:
            return f"{_plural(seconds // size, unit)} ago"
    return "just now"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _utc(instant: Instant) -> str:
    try:
        return f"{datetime.fromtimestamp(instant // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return ""


def _progress(landing: Landing) -> str:
    """Show how far the baseline or a long poll is, also while the server is down and it cannot go on."""
    progress = landing.progress
    if progress is None and landing.last_complete_poll is not None:
        return ""
    baseline = progress is None or progress.kind is WalkKind.BASELINE
    what = "Initial scan (baseline)" if baseline else "Poll"
    notes = (
        "Task metrics appear when it is complete." if baseline else "",
        "It continues when polls succeed again." if landing.status.up is False else "",
    )
    percent = 100 * ((progress and progress.fraction) or 0)
    return f"""<div class="note"><p>{what}: {_read(progress)}. {" ".join(filter(None, notes))}</p>
{_bar(percent, "var(--accent)")}</div>
"""


def _read(progress: Progress | None) -> str:
    """Say how many Tasks were read, of how many where the server counts them."""
    if progress is None:
        return "no Task read yet"
    if progress.fraction is None:
        return f"{_plural(progress.tasks, 'Task')} read"
    return f"{progress.tasks:,} of {_plural(progress.expected or 0, 'Task')} read ({progress.fraction:.0%})"


def _paths() -> str:
    return "".join(f'<li><a href="{path}">{path}</a><span>{meaning}</span></li>' for path, meaning in ENDPOINTS)


def _documents(documents: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<li><a href="{escape(address)}">{escape(title)}</a></li>' for title, address in documents)


def _tasks(tasks: TaskCounts | None) -> str:
    if tasks is None:
        return '<p class="empty">No data: there was no complete poll yet, or the last one is too old.</p>\n'
    return f"<table>{''.join(_rows(tasks.by_status))}</table>\n" if tasks.by_status else NO_TASK


def _rows(tasks: Mapping[str, int]) -> Iterator[str]:
    """Write a row for each status, the documented ones first; bars are relative to the highest count."""
    highest = max(*tasks.values(), 1)
    for status in sorted(tasks, key=_position):
        count = tasks[status]
        color = STATUS_COLORS.get(status, "var(--accent)")
        yield (
            f'<tr{"" if count else " class=none"}><th scope="row">{escape(status)}</th><td class="n">{count:,}</td>'
            f"<td>{_bar(100 * count / highest, color)}</td></tr>\n"
        )


def _position(status: str) -> int:
    return STATUS_ORDER.index(status) if status in STATUS_ORDER else len(STATUS_ORDER)


def _bar(percent: float, color: str) -> str:
    inner = f'<i style="width:{percent:.1f}%;background:{color}"></i>' if percent else ""
    return f'<div class="bar">{inner}</div>'
