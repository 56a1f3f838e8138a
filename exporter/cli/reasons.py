"""`reasons test`: which reason a note would get. No note is stored, logged or printed.

See docs/fhir-quirks.md#failure-reasons.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import click

from .. import config
from ..task.reasons import LONGEST_TEXT, Explanation, Rule, explain
from .command import Command, Group, version_option
from .options import Given, click_options, flags_of

FILE = replace(config.CONFIG_FILE, help="YAML file with a table `reasons`; its other contents are not used.")


@click.group(cls=Group, params=[version_option()])
def reasons() -> None:
    """Try the patterns for reasons of failures."""


@reasons.command(
    cls=Command,
    params=click_options((FILE,)),
    examples=("reasons test < notes.txt", "reasons test --config.file exporter.yaml < notes.txt"),
)
def test(**given: Given) -> int:
    """Read notes from stdin, one a line, and say which reason each gets.

    The patterns under `reasons` in the file are tried first, then the built-in ones. Notes are neither stored nor
    printed: the answer is the number of the line, the reason, and what gave it. For one note:

    echo 'HTTP 500 at $export' | fhir-task-exporter reasons test
    """
    settings = config.load_reasons_settings(flags_of(given), os.environ)
    if sys.stdin.isatty():
        click.echo("Type or paste notes, one a line; end with Ctrl-D.", err=True)
    counts = Counter[str]()
    for line, found in _explanations(settings.reasons, sys.stdin.buffer):
        counts[found.reason] += 1
        click.echo(f"line {line}: {found.reason} ({_source(found)})")
    click.echo(_summary(counts))
    return 0


def _explanations(rules: Sequence[Rule], lines: Iterable[bytes]) -> Iterator[tuple[int, Explanation]]:
    """Yield the number of each line that is not blank, and its explanation."""
    for number, line in enumerate(lines, 1):
        if note := line.decode(errors="replace").strip():
            yield number, explain(rules, [note[:LONGEST_TEXT]])


def _source(found: Explanation) -> str:
    return found.source.value if found.number is None else f"{found.source.value}, number {found.number}"


def _summary(counts: Counter[str]) -> str:
    total = counts.total()
    words = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    return f"{total} {'note' if total == 1 else 'notes'}{': ' if words else ''}{words}"
