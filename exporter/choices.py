"""What the operator may choose again while the exporter runs: made of settings at the start and at each reload alike.

Rule: `apply` is called between two steps of work, by the thread that uses the ledger; it changes everything or nothing.

See docs/configuration.md#reload, docs/decisions/0024-a-reload-is-a-restart-between-two-steps.md.
"""

import logging
from dataclasses import dataclass, replace

from .config import DeadlineLength, Settings, make_calendar
from .context import WalkContext, WalkRules
from .ledger.ledger import Ledger
from .logs import log_event
from .names import fingerprint
from .task.business_days import BusinessDays, Calendar
from .task.deadline import Deadline, Deadlines, FixedTime
from .task.payer_table import PayerTable
from .task.payers import PairRule
from .task.reasons import Classify, classifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choices:
    """Names of payers, which pairs get series, reasons of failures, and deadlines."""

    payers: PayerTable
    pairs: PairRule
    classify: Classify
    rules: WalkRules


def choices(settings: Settings) -> Choices:
    """Take from the settings what may change."""
    return Choices(
        payers=settings.payers,
        pairs=PairRule(settings.pairs_max, settings.payers.labels),
        classify=classifier(settings.reasons),
        rules=WalkRules(
            deadlines=deadlines(settings),
            overlap_ms=_milliseconds(settings.poll.overlap),
            stalled_after_ms=_milliseconds(settings.stalled_after),
            names_fingerprint=fingerprint(settings.payers, settings.pairs_max),
        ),
    )


def deadlines(settings: Settings) -> Deadlines:
    """Make the deadlines, by the operator's calendar."""
    calendar = make_calendar(settings.timezone, settings.holidays, settings.closed_days)
    own = {name: _deadline(length, calendar) for name, length in settings.payer_deadlines.items()}
    return Deadlines(_deadline(settings.deadline, calendar), own)


def _deadline(length: DeadlineLength, calendar: Calendar) -> Deadline:
    if length.business_days:
        return BusinessDays(length.business_days, calendar)
    return FixedTime(_milliseconds(length.seconds))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def apply(new: Choices, context: WalkContext) -> WalkContext:
    """Put new choices into force; returns the context of what is walked from now on. Raises a LedgerError."""
    if new.rules.names_fingerprint != context.rules.names_fingerprint:
        if rename_payers(new, context.ledger):
            context.exemplars.begin_again(context.ledger.counters())
        context.namer.use(new.payers)
        context.telemetry.set_ledger_figures(context.ledger.figures)
    context.server.classify_by(new.classify)
    return replace(context, rules=new.rules)


def rename_payers(new: Choices, ledger: Ledger) -> bool:
    """Let the ledger follow the names; returns whether any pair got another label."""
    renames = ledger.use_names(new.pairs, new.payers.pair)
    renamed = bool(renames.carried or renames.ended)
    if renamed:
        log_event(logger, logging.INFO, "payers were renamed", carried=renames.carried, ended=renames.ended)
    return renamed
