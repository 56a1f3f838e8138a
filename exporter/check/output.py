"""How `check` prints what it found: a mark, a sentence, what to do, and lines to copy."""

from collections.abc import Iterable

import click

from . import findings
from .findings import Finding, Mark

COLORS = {Mark.OK: "green", Mark.INFO: "cyan", Mark.WARN: "yellow", Mark.FAIL: "red"}
INDENT = max(len(mark) for mark in Mark) + 2


def show(found: Iterable[Finding]) -> int:
    """Print each finding once, as it comes, and the sum of them; returns 1 where something failed."""
    printed: list[Finding] = []
    for finding in found:
        if finding not in printed:
            print_finding(finding)
            printed.append(finding)
    click.echo(f"\n{findings.summary(printed)}")
    return int(any(finding.mark is Mark.FAIL for finding in printed))


def print_finding(finding: Finding) -> None:
    """Print a finding."""
    mark = click.style(f"{finding.mark:<{INDENT}}", fg=COLORS[finding.mark], bold=finding.mark is Mark.FAIL)
    click.echo(mark + finding.text)
    if finding.remedy:
        click.echo(" " * INDENT + f"-> {finding.remedy}")
    if finding.copy:
        click.echo("\n".join(("", *finding.copy)))
