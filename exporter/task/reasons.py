"""Why a Task failed, as one word of a closed set; the text itself goes no further.

Smile CDR publishes no example of a note, so the defaults are cautious. They go through the clauses of all texts twice:
first for what went wrong ("connection refused"), which decides by itself, then for where ("member match"), which counts
only if the same clause speaks of a failure: notes may list the steps that went well. The first row that fits wins.
No pattern repeats without a bound, so no text takes long.

See docs/fhir-quirks.md#failure-reasons, docs/decisions/0027-what-went-wrong-comes-before-where.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from .model import UNCLASSIFIED

Rule = tuple[str, re.Pattern[str]]
"""A reason, and the operator's pattern for it."""
Classify = Callable[[Iterable[str]], str]
"""From the texts of a failed Task to its reason."""


LONGEST_TEXT = 4096
"""Characters of a text that callers pass on: the rest is not read."""


class Default(NamedTuple):
    """`outright` says what went wrong, `stage` where. Both see clauses in lower case."""

    reason: str
    outright: re.Pattern[str] | None
    stage: re.Pattern[str] | None


class Source(Enum):
    """What gave a reason."""

    RULE = "pattern of the file"
    OUTRIGHT = "built in: what went wrong"
    STAGE = "built in: the step that failed"
    NOTHING = "no pattern matches"


class Explanation(NamedTuple):
    """A reason, and what gave it: `number` counts the operator's rules from 1."""

    reason: str
    source: Source
    number: int | None = None


_CLAUSE = re.compile(r"[,;!?\r\n]+|\.(?=[\s\"')\]]|\Z)")
"""A dot inside a word is none: `java.net.UnknownHostException` and `fhir.payer.example` stay whole."""
_HOST = re.compile(r"\bhttps?://[^/\s]{0,255}")
"""Left out: a host is named as its owner likes, `export.payer.example`."""
_STATUS = r"(?:http(?:/[12](?:\.[01])?)?(?:\ error)?|status|code|answered)[ :=]{1,3}"
_NOT = r"(?<!\bno\ )(?<!\bnot\ )(?<!\bwithout\ )(?<!\bwithout\ any\ )(?<!\b0\ )"


def _words(pattern: str) -> re.Pattern[str]:
    """Compile VERBOSE alternatives: a blank that is part of the text is escaped.

    Each is tried at a boundary of a word, which is what makes a search quick. To find the end of a class name, such as
    `HttpHostConnectException`, an alternative looks behind such a boundary.
    """
    return re.compile(rf"\b(?:{pattern})", re.VERBOSE)


def _default(reason: str, outright: str = "", stage: str = "") -> Default:
    return Default(reason, *(_words(part) if part else None for part in (outright, stage)))


_FAILED = _words(
    rf"""{_NOT}(?:fail(?:ed|ing|ures?|s)?|errors?|unable|rejected|refused|denied|aborted|unsuccessful|interrupted)\b
        (?!\ ?[:=]\ ?0\b)
    |   (?<=exception)(?<!\bno\ exception)(?<!\bwithout\ exception)
    |   (?:can\ ?not|can't|couldn't|could\ not|bad\ request|bad\ gateway|service\ unavailable)\b
    |   {_STATUS}[45]\d\d\b"""
)

DEFAULTS = (
    _default(
        "no_data",
        r"""no\ (?:matching\ |clinical\ |member\ |patient\ )?(?:data|documents?|resources|records)
            (?:\ was|\ were)?\ (?:found|returned|available|received)\b
        |   returned\ no\ (?:data|documents|resources|records)\b""",
    ),
    _default(
        "auth",
        rf"""unauthori[sz]ed\b | 403\ forbidden\b | access\ denied\b | {_STATUS}40[13]\b
        |   (?:invalid_(?:client|grant|token|scope)|unauthorized_client|insufficient_scope|access_denied)\b
        |   (?:token|jwt)\ (?:has\ |is\ |was\ )?(?:expired|revoked)\b""",
        r"""authenticat(?:e|ion|ing)\b | authori[sz](?:e|ation)\b | access\ token\b | obtain\ (?:an?\ )?token\b
        |   token\ (?:endpoint|request)\b | credentials?\b""",
    ),
    _default(
        "member_match",
        r"""no\ (?:matching\ member|member\ match)\b | no\ match(?:es)?\ found\b | member\ (?:was\ )?not\ found\b
        |   multiple\ (?:member\ )?match(?:es|ing)\b
        |   could\ not\ find\ (?:coverage\ for\ member|beneficiary\ for\ coverage)\b""",
        r"""member[ -]?match(?:ing)?\b""",
    ),
    _default(
        "timeout",
        rf"""timed[ -]?out\b | (?<=timeoutexception) | deadline\ (?:was\ )?exceeded\b | {_STATUS}(?:408|504)\b
        |   (?:connect|connection|read|socket|request|response|gateway|poll|polling)\ ?time-?out\b
        |   time-?out\ (?:has\ )?(?:occurred|expired|exceeded|reached|while|waiting|after)\b""",
    ),
    _default(
        "tls",
        r"""(?:ssl|tls)\ handshake\ (?:has\ )?(?:failed|failure|error)\b
        |   ssl(?:handshake|peerunverified|protocol|key)exception\b | ssl\ peer\ shut\ down\b | fatal\ alert\b
        |   (?<=certpathbuilderexception) | certpathvalidatorexception\b | certificate[a-z]{0,20}exception\b
        |   pkix\ path\b | valid\ certification\ path\b | subject\ alternative\b | not\ an\ ssl/tls\ record\b
        |   (?:unsupported\ or\ )?unrecognized\ ssl\ message\b | hostname\ \S{1,255}\ (?:was\ )?not\ verified\b
        |   remote\ host\ (?:terminated\ the|closed\ connection\ during)\ handshake\b
        |   (?:certificate_(?:unknown|expired|required|revoked)|bad_certificate|unknown_ca|handshake_failure)\b
        |   certificate\ (?:has\ |is\ |was\ )?(?:expired|revoked|not\ trusted|untrusted|not\ yet\ valid)\b""",
        r"""(?:ssl|tls|x\.?509)\b | (?:server|client|peer)\ certificates?\b
        |   certificate\ (?:authority|chain|path|validation|verification|verify)\b""",
    ),
    _default(
        "network",
        r"""(?<=unknownhostexception) | (?<=noroutetohostexception) | (?<=unresolvedaddressexception)
        |   (?<=connectexception) | (?<=socketexception) | (?<=nohttpresponseexception) | (?<=prematurecloseexception)
        |   (?<=connectionclosedexception) | (?<=closedchannelexception)
        |   no\ route\ to\ host\b | network\ is\ (?:down|unreachable)\b | (?<!\bno\ )network\ (?:error|failure)\b
        |   connection\ (?:was\ |has\ been\ )?(?:refused|reset|aborted|lost)\b | broken\ pipe\b
        |   connection\ (?:was\ )?(?:prematurely\ )?closed\ (?:by\ (?:the\ )?(?:peer|server)|before|during)\b
        |   (?:server|\d{1,5})\ failed\ to\ respond\b | header\ parser\ received\ no\ bytes\b
        |   unexpected\ end\ of\ (?:stream|file\ from\ server)\b | premature\ end\ of\ (?:content-length|chunk)
        |   (?:cannot|could\ not|couldn't|(?:unable|failed)\ to)\ connect\b
        |   error\ writing\ to\ server\b | tunnel\ through\ proxy\b | stream\ was\ reset\b
        |   name\ or\ service\ not\ known\b | nodename\ nor\ servname\b | failure\ in\ name\ resolution\b""",
        r"""connect(?:ing)?\ to\b | dns\b | resolve\ (?:the\ )?host(?:name)?\b""",
    ),
    _default(
        "kickoff",
        r"""must\ request\ async\ processing\b""",
        r"""kick(?:ing)?[ -]?off\b
        |   (?:start|initiat|submitt?|creat)(?:e|ing)?\ (?:the\ |an?\ )?(?:bulk\ )?\$?export\b""",
    ),
    _default(
        "download",
        stage=r"""download(?:s|ed|ing)?\b | (?:get|url:?)\ \S{0,255}/binary/
        |   (?:fetch|fetching|retrieve|retrieving)\ (?:the\ |an?\ )?(?:export(?:ed)?\ |ndjson\ |output\ )?files?\b""",
    ),
    _default(
        "store",
        r"""disk\ (?:is\ )?full\b | no\ space\ left\ on\ device\b | could\ not\ extend\ file\b
        |   unable\ to\ extend\ table\b | constraint\ (?:failure|violation)\b | specified\ in\ path:
        |   (?<=constraintviolationexception) | (?<=integrityviolationexception)""",
        r"""stor(?:e|ing|age)\b | persist(?:ing)?\b | import(?:ing)?\b | ingest(?:ion|ing)?\b | rolled\ back\b
        |   (?:save|saving|write|writing)\ (?:the\ )?(?:received\ )?(?:resources?|bundle|data)\b
        |   (?:create|update|creating|updating)\ (?:the\ )?(?:resource|entity)\b
        |   transaction\ (?:failed|aborted)\b | (?<=sqlexception) | (?<=jdbcexception) | (?<=persistenceexception)""",
    ),
    _default("export", stage=r"""(?:bulk_?)?export(?:ing)?(?![a-z0-9])"""),
)


def classifier(rules: Sequence[Rule]) -> Classify:
    """Make the function that classifies failures: by the operator's `rules`, then by the defaults."""
    return lambda texts: explain(rules, texts).reason


def explain(rules: Sequence[Rule], texts: Iterable[str]) -> Explanation:
    """Find the reason and what gave it.

    Rules are tried in order, each on all texts. `config/patterns` refuses patterns that could take very long.
    """
    all_texts = tuple(texts)
    for number, (reason, pattern) in enumerate(rules, 1):
        if any(map(pattern.search, all_texts)):
            return Explanation(reason, Source.RULE, number)
    return _by_default(tuple(_clauses(all_texts)))


def _by_default(clauses: Sequence[str]) -> Explanation:
    everything = "\n".join(clauses)
    for row in DEFAULTS:
        if row.outright is not None and row.outright.search(everything):
            return Explanation(row.reason, Source.OUTRIGHT)
    failed = "\n".join(filter(_FAILED.search, clauses))
    for row in DEFAULTS:
        if row.stage is not None and row.stage.search(failed):
            return Explanation(row.reason, Source.STAGE)
    return Explanation(UNCLASSIFIED, Source.NOTHING)


def _clauses(texts: Iterable[str]) -> Iterator[str]:
    return (clause for text in texts for clause in _CLAUSE.split(_HOST.sub("", text.lower())) if clause)
