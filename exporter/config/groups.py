"""Under which heading an option stands, in `--help` and in docs/configuration.md."""

from collections.abc import Iterable, Iterator, Mapping

from .fields import Option

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Configuration file": ("config.",),
    "FHIR server": ("fhir.",),
    "Authentication and TLS": (
        *("fhir.bearer-token-file", "fhir.username", "fhir.password-file", "fhir.allow-plain-http"),
        *("fhir.oauth2.", "fhir.ca-file", "fhir.client-"),
    ),
    "Ledger": ("ledger",),
    "Polling": ("poll.", "reconcile.", "history"),
    "Metrics": ("series.", "metrics.", "deadline", "timezone", "holidays", "stalled-after", "pairs."),
    "Export jobs": ("probe.",),
    "Batch jobs": ("batch-jobs.",),
    "Web": ("web.",),
    "Logging": ("log.",),
    "Simulation": ("speed",),
}
"""How the names of a group's options begin, in the order of the headings; the longest beginning decides."""


def group_of(option: Option) -> str:
    """Find the heading of an option."""
    begins = {begin: title for title, names in GROUPS.items() for begin in names if option.name.startswith(begin)}
    return begins[max(begins, key=len)]


def grouped(options: Iterable[Option]) -> Iterator[tuple[str, list[Option]]]:
    """Yield each heading that has options, with them, in the order of the headings."""
    found: dict[str, list[Option]] = {title: [] for title in GROUPS}
    for option in options:
        found[group_of(option)].append(option)
    yield from ((title, rows) for title, rows in found.items() if rows)
