"""The commands about the ledger's file: `ledger info`, `backup`, `prune` and `rebind`. Rules: docs/ledger.md."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .. import config
from ..task.dates import format_instant
from .command import Command, Group, version_option
from .options import LEDGER_OPTIONS, REBIND_OPTIONS, Given, click_options, settings_from

if TYPE_CHECKING:
    from ..ledger.prune import DeadPair

PATH = "--ledger /var/lib/fhir-task-exporter/ledger.db"
WIDTH = 14
"""Of the labels that `info` prints."""

_WITHOUT_PAIRS = tuple(option for option in LEDGER_OPTIONS if option.name != "pairs.max")


@click.group(cls=Group, params=[version_option()])
def ledger() -> None:
    """Inspect, back up, prune or rebind the ledger.

    All but `info` need a ledger that is not in use: stop the exporter first. It catches up when it starts again.
    """


@ledger.command(cls=Command, params=click_options(LEDGER_OPTIONS), examples=(f"ledger info {PATH}",))
def info(**given: Given) -> int:
    """Show what the ledger is and holds; changes nothing."""
    settings = settings_from(given, config.load_ledger_settings)
    from ..ledger.info import describe, read_info

    for label, text in describe(read_info(settings.ledger), settings.pairs_max):
        click.echo(f"{label:<{WIDTH}}{text}")
    return 0


@ledger.command(cls=Command, params=click_options(_WITHOUT_PAIRS), examples=(f"ledger backup {PATH} ledger-backup.db",))
@click.argument("destination", metavar="DESTINATION")
def backup(destination: str, **given: Given) -> int:
    """Copy the ledger to a new file."""
    settings = settings_from(given, config.load_ledger_settings)
    from ..ledger.backup import back_up

    size = back_up(settings.ledger, destination)
    click.echo(f"Copied {settings.ledger} to {destination}: {size:,} bytes.")
    return 0


@ledger.command(
    cls=Command,
    params=click_options(_WITHOUT_PAIRS),
    examples=(f"ledger prune {PATH}", f"ledger prune {PATH} --yes"),
)
@click.option("--yes", is_flag=True, help="Remove what is listed.")
def prune(yes: bool, **given: Given) -> int:
    """List pairs of payers without a Task; with --yes, remove them.

    Removed pairs free their slots (--pairs.max), and their series end. Payers that the configuration names stay.
    """
    settings = settings_from(given, config.load_ledger_settings)
    from ..ledger.prune import find_dead
    from ..ledger.prune import prune as remove

    dead = (remove if yes else find_dead)(settings.ledger, settings.payers)
    _print_dead(dead, removed=yes)
    return 0


def _print_dead(dead: Sequence["DeadPair"], *, removed: bool) -> None:
    for each in dead:
        last = "never" if each.last_transition is None else format_instant(each.last_transition)
        click.echo(
            f"source_payer={each.pair.source!r} requesting_payer={each.pair.requesting!r} last transition {last}"
        )
    pairs = "1 pair" if len(dead) == 1 else f"{len(dead):,} pairs"
    if not dead:
        click.echo("Nothing to remove: every pair has a Task.")
    elif removed:
        click.echo(f"{pairs} without a Task removed.")
    else:
        click.echo(f"{pairs} without a Task. To remove: add --yes.")


@ledger.command(
    cls=Command,
    params=click_options(REBIND_OPTIONS),
    examples=(f"ledger rebind {PATH} --fhir.url https://new.example.org/fhir",),
)
def rebind(**given: Given) -> int:
    """Take over the ledger of the same server at another address.

    The selection of Tasks must be the same, and the Tasks in the ledger must be found at --fhir.url. Counters are kept.
    """
    settings = settings_from(given, config.load_settings)
    from ..app import commands as app
    from ..ledger import Owner

    said = {
        Owner.ASKED: "Nothing to do: the ledger belongs to this server.",
        Owner.ANOTHER: "Rebound: the ledger now belongs to this server, with all it has counted.",
    }
    click.echo(said.get(app.rebind(settings), "The ledger was empty; it now belongs to this server."))
    return 0
