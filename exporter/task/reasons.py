"""Why a Task failed, as one word of a closed set; the text itself goes no further.

Smile CDR publishes no example of a note, so the defaults are cautious. Notes may list the steps that went well, so the
name of a step counts only if the same clause speaks of a failure ("member match failed"). If two rows fit, the first
one wins: what went wrong comes before where it went wrong. No pattern repeats without a bound, so no text takes long.

See docs/fhir-quirks.md#failure-reasons.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from .model import UNCLASSIFIED

Rule = tuple[str, re.Pattern[str]]
"""A reason, and the operator's pattern for it."""
Classify = Callable[[Iterable[str]], str]
"""From the texts of a failed Task to its reason."""


class Default(NamedTuple):
    """`outright` decides by itself, `stage` only next to a word of failure. Both see a clause in lower case."""

    reason: str
    outright: re.Pattern[str] | None
    stage: re.Pattern[str] | None


_CLAUSE = re.compile(r"[.,;!?\r\n]+")
_FAILED = re.compile(
    r"\b(?:fail(?:ed|ure|s)?|(?<!\bno )(?<!\bwithout )(?<!\b0 )errors?|unable|cannot|can't|couldn't|could not"
    r"|rejected|refused|denied|aborted|unsuccessful)\b"
)


def _default(reason: str, outright: str = "", stage: str = "") -> Default:
    """Compile one row. Patterns are VERBOSE: a blank that is part of the text is escaped."""
    return Default(reason, *(re.compile(part, re.VERBOSE) if part else None for part in (outright, stage)))


DEFAULTS = (
    _default(
        "no_data",
        r"""\bno\ (?:matching\ |clinical\ |member\ |patient\ )?(?:data|documents?|resources|records)
            (?:\ was|\ were)?\ (?:found|returned|available|received)\b
        |   \breturned\ no\ (?:data|documents|resources|records)\b""",
    ),
    _default(
        "auth",
        r"""\bunauthori[sz]ed\b | \binvalid_(?:client|grant|token|scope)\b | \b403\ forbidden\b | \baccess\ denied\b
        |   \b(?:http|status|code)[ :=]{1,3}40[13]\b""",
        r"""\bauthenticat(?:e|ion|ing)\b | \bauthori[sz](?:e|ation)\b | \baccess\ token\b
        |   \bobtain\ (?:an?\ )?token\b""",
    ),
    _default(
        "member_match",
        r"""\bno\ (?:matching\ member|member\ match)\b | \bno\ match(?:es)?\ found\b | \bmember\ (?:was\ )?not\ found\b
        |   \bmultiple\ (?:member\ )?match(?:es|ing)\b""",
        r"""\bmember[ -]?match(?:ing)?\b""",
    ),
    _default(
        "timeout",
        r"""\btimed[ -]?out\b | \bdeadline\ (?:was\ )?exceeded\b
        |   \b(?:connect|connection|read|socket|request|response|gateway|poll|polling)\ ?time-?out(?:exception)?\b
        |   \btime-?out\ (?:expired|exceeded|reached|while|waiting|after)\b""",
    ),
    _default(
        "kickoff",
        stage=r"""\bkick(?:ing)?[ -]?off\b
        |   \b(?:start|starting|initiate|initiating|submit|submitting)\ (?:the\ |an?\ )?(?:bulk\ )?\$?export\b""",
    ),
    _default(
        "download",
        stage=r"""\bdownload(?:s|ed|ing)?\b
        |   \b(?:fetch|fetching|retrieve|retrieving)\ (?:the\ |an?\ )?(?:export(?:ed)?\ |ndjson\ |output\ )?files?\b""",
    ),
    _default(
        "store",
        stage=r"""\bstor(?:e|ing|age)\b | \bpersist(?:ing)?\b
        |   \b(?:save|saving)\ (?:the\ )?(?:resources?|bundle|data)\b""",
    ),
    _default("export", stage=r"""\bexport\b"""),
)


def classifier(rules: Sequence[Rule]) -> Classify:
    """Make the function that classifies failures: by the operator's `rules`, then by the defaults.

    Rules are tried in order, each on all texts. The operator's patterns may take any time: nothing here limits them.
    """

    def classify(texts: Iterable[str]) -> str:
        all_texts = tuple(texts)
        configured = next((reason for reason, pattern in rules if any(map(pattern.search, all_texts))), None)
        return configured or _classify(all_texts)

    return classify


def _classify(texts: Iterable[str]) -> str:
    clauses = [(clause, _FAILED.search(clause) is not None) for clause in _clauses(texts)]
    return next((row.reason for row in DEFAULTS if any(_fits(row, *clause) for clause in clauses)), UNCLASSIFIED)


def _clauses(texts: Iterable[str]) -> Iterator[str]:
    return (clause for text in texts for clause in _CLAUSE.split(text.lower()) if clause)


def _fits(row: Default, clause: str, failed: bool) -> bool:
    if row.outright is not None and row.outright.search(clause):
        return True
    return failed and row.stage is not None and row.stage.search(clause) is not None
