"""What must hold between options. Each check names the option to mend and says why."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple
from urllib.parse import urlsplit

from .parsers import loopback
from .settings import PollSettings


class _Companion(NamedTuple):
    option: str
    needs: str


_COMPANIONS = (
    _Companion("fhir.username", "fhir.password-file"),
    _Companion("fhir.password-file", "fhir.username"),
    _Companion("fhir.client-key-file", "fhir.client-cert-file"),
)
_CREDENTIALS = ("fhir.bearer-token-file", "fhir.username", "fhir.password-file")


def across(values: Mapping[str, object], given: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield (option name, sentence) for each fault. `values` lacks defaults and what was refused; `given` does not."""
    for option, needs in _COMPANIONS:
        if option in given and needs not in given:
            yield option, f"needs --{needs} too"
    if {"fhir.bearer-token-file", "fhir.username"} <= given:
        yield "fhir.bearer-token-file", "cannot go together with --fhir.username: choose one way to authenticate"
    yield from _plain_http(values, given)
    yield from _staleness(values, given)


def _plain_http(values: Mapping[str, object], given: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """RFC 6750 section 5.3: a bearer token travels over TLS only; the same is true of a password."""
    url = values.get("fhir.url")
    sent = any(name in given for name in _CREDENTIALS)
    if not isinstance(url, str) or not sent or values.get("fhir.allow-plain-http"):
        return
    if urlsplit(url).scheme == "http" and not loopback(url):
        yield "fhir.url", "would send credentials unencrypted; use https, or set --fhir.allow-plain-http"


def _staleness(values: Mapping[str, object], given: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """See that no picture is too old before it may be renewed: gauges would come and go."""
    names = ("poll.max-staleness", "poll.min-interval")
    if any(name in given and name not in values for name in names):
        return
    default = PollSettings()
    staleness = values.get(names[0], default.max_staleness)
    interval = values.get(names[1], default.min_interval)
    if isinstance(staleness, float) and isinstance(interval, float) and staleness < interval:
        yield (
            names[0] if names[0] in given else names[1],
            "must leave --poll.max-staleness at least --poll.min-interval",
        )
