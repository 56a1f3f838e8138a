"""How an observation reads: lines and tables for people, objects for programs. PURE: no I/O, no clock.

See docs/watch.md.
"""

from collections.abc import Iterable, Mapping, Sequence

from .model import LEFT_ALONE, End, Json, Observation, Problem

BAR_WIDTH = 20
SPINNER = "|/-\\"

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_LONGEST_NOTE = 500
"""Characters of one note that are shown."""


def span(seconds: float) -> str:
    """Write a length of time as Prometheus does, by its largest unit and the next one: 1d2h, 3h5m, 4m10s."""
    whole = max(0, int(seconds))
    first = next((number for number, (_, length) in enumerate(_UNITS) if whole >= length), len(_UNITS) - 1)
    parts, left = [], whole
    for unit, length in _UNITS[first : first + 2]:
        count, left = divmod(left, length)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0s"


def line(seen: Observation) -> str:
    """Write what is known without the server's words and countdowns, for a new line."""
    return ", ".join((seen.state, *_progress(seen), *_times(seen, 0), *seen.details))


def live_line(seen: Observation, passed: float, wait: float, turn: int) -> str:
    """Write the line that is drawn again and again. `passed` seconds after the answer; `turn` moves the spinner."""
    mark = SPINNER[turn % len(SPINNER)] if seen.ratio is None else bar(seen.ratio)
    parts = (seen.state, *_times(seen, passed), f"next poll in {span(wait + 0.999)}")
    return f"{mark} {', '.join(parts)}{f'  {seen.words}' if seen.words else ''}"


def bar(ratio: float) -> str:
    """Draw a bar with its percentage."""
    full = int(ratio * BAR_WIDTH)
    return f"[{'#' * full}{'-' * (BAR_WIDTH - full)}] {int(ratio * 100):3}%"


def _progress(seen: Observation) -> tuple[str, ...]:
    return () if seen.ratio is None else (f"{int(seen.ratio * 100)}%",)


def _times(seen: Observation, passed: float) -> Iterable[str]:
    """Write elapsed time and the deadline, which go on unless it has ended."""
    passed = 0 if seen.end else passed
    if seen.elapsed is not None:
        yield f"{'after' if seen.end else 'elapsed'} {span(seen.elapsed + passed)}"
    if seen.left is not None:
        left = seen.left - passed
        yield f"overdue by {span(-left)}" if left < 0 else f"due in {span(left)}"


def as_object(seen: Observation, wait: float | None) -> Mapping[str, Json]:
    """Return the keys of one answer in `--output json`, without what is not known. Words and notes are not in it."""
    known: dict[str, Json] = {
        "state": seen.state,
        "elapsed_seconds": _rounded(seen.elapsed),
        "deadline_left_seconds": _rounded(seen.left),
        "progress_ratio": seen.ratio,
        "next_poll_seconds": _rounded(wait),
        **seen.data,
    }
    return {name: value for name, value in known.items() if value is not None}


def problem_as_object(problem: Problem, wait: float | None) -> Mapping[str, Json]:
    """Return the keys of a failed poll in `--output json`."""
    known = {"reason": problem.reason, "error": problem.sentence, "remedy": problem.remedy}
    return known if wait is None else {**known, "next_poll_seconds": _rounded(wait)}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Align columns: the first to the left, the others, which are numbers, to the right."""
    lines = [header, *rows]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(header))]
    return tuple(
        "  ".join(
            (cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)))
        )
        for cells in lines
    )


def readable(text: str) -> str:
    """Make a server's text fit for a terminal: one line, nothing that a terminal obeys, not too long."""
    clean = "".join(each if each.isprintable() else " " for each in text[:_LONGEST_NOTE])
    return " ".join(clean.split()) + ("…" if len(text) > _LONGEST_NOTE else "")


def farewell(end: End, what: str, resume: str) -> tuple[str, ...]:
    """Say that we stopped and what we left alone, and how to go on; nothing where it has ended by itself."""
    if end not in LEFT_ALONE:
        return ()
    why = "The time of --timeout is over" if end is End.TIMED_OUT else "Stopped"
    return (f"{why}: the {what} was left alone and may still be running. To go on watching:", f"  {resume}")
