"""Every option of the exporter, one row each, and the frozen Settings that the rest of the program is given.

A row yields the flag, the environment variable, the key in the YAML file, the validation, the default and the
documentation of its option. Durations are in seconds. Of a secret, only the path of its file is here.
"""
# ruff: noqa: RUF009 - option() and its siblings return dataclasses.field with the row as its metadata

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..task.model import Coding, Selection
from . import values
from .fields import Option, clearable, option, options_of, repeatable, required, switch
from .values import Address

_TAG = "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes|CDR_MANAGED"
_CODE = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp|data-request"
_FILE = values.readable_file


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSettings:
    """Where the Tasks are, which of them are meant, and how to get at them."""

    url: str = field(metadata=required("fhir.url", values.base_url, "Base URL of the FHIR endpoint.", "URL"))
    tag: Coding | None = clearable(
        "fhir.tag", values.coding, _TAG, "Tag that our Tasks carry; empty: any.", "SYSTEM|CODE"
    )
    code: Coding | None = clearable(
        "fhir.code", values.coding, _CODE, "Task.code of our Tasks; empty: any.", "SYSTEM|CODE"
    )
    search: tuple[tuple[str, str], ...] = repeatable(
        "fhir.search", values.search_parameter, "A further search parameter.", "NAME=VALUE"
    )
    page_size: int = option(
        "fhir.page-size", values.whole_number(1, 500), "200", "Tasks to ask for in one page (_count).", "COUNT"
    )
    timeout: float = option("fhir.timeout", values.positive_duration, "10s", "Longest wait for one request.")
    rewrite_links: bool = switch(
        "fhir.rewrite-links",
        "Of page links keep only path and query, on our own base: for a proxy that rewrites hosts.",
    )
    allow_plain_http: bool = switch(
        "fhir.allow-plain-http",
        "Allow credentials over unencrypted http to another host than this one.",
    )
    bearer_token_file: str | None = option(
        "fhir.bearer-token-file", _FILE, None, "File that holds a bearer token; read again when it changes.", "FILE"
    )
    username: str | None = option(
        "fhir.username", values.user_name, None, "User name for basic authentication.", "NAME"
    )
    password_file: str | None = option(
        "fhir.password-file", _FILE, None, "File that holds the password of --fhir.username.", "FILE"
    )
    ca_file: str | None = option(
        "fhir.ca-file", _FILE, None, "Certificates (PEM) to trust instead of the system's.", "FILE"
    )
    client_cert_file: str | None = option(
        "fhir.client-cert-file", _FILE, None, "Certificate (PEM) to show to the server.", "FILE"
    )
    client_key_file: str | None = option(
        "fhir.client-key-file", _FILE, None, "Its key (PEM), where it is a file of its own.", "FILE"
    )

    @property
    def selection(self) -> Selection:
        """Which Tasks are ours."""
        return Selection(self.tag, self.code, self.search)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSettings:
    """How to ask what changed."""

    min_interval: float = option(
        "poll.min-interval", values.duration, "5s", "A picture younger than this is served again without asking."
    )
    max_staleness: float = option(
        "poll.max-staleness",
        values.positive_duration,
        "5m",
        "How long gauges outlive the last complete poll; then they disappear.",
    )
    overlap: float = option(
        "poll.overlap",
        values.duration,
        "30s",
        "How far each poll looks back behind the last one, for writes that become visible late.",
    )
    timeout: float = option(
        "poll.timeout", values.positive_duration, "60s", "Longest time for one window of at most 2,000 Tasks."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """How often to compare what the server holds with what we believe."""

    open_interval: float = option(
        "reconcile.open-interval", values.positive_duration, "5m", "How often to compare open and recent Tasks."
    )
    lookback: float = option(
        "reconcile.lookback", values.positive_duration, "15m", "How far back that comparison reads again."
    )
    full_interval: float = option(
        "reconcile.full-interval", values.positive_duration, "1h", "How often to compare everything, by counts."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where and how scrapes are answered."""

    listen: Address = option(
        "web.listen-address", values.listen_address, "127.0.0.1:9842", "Where to answer scrapes.", "HOST:PORT"
    )
    scrape_timeout_offset: float = option(
        "web.scrape-timeout-offset",
        values.duration,
        "1s",
        "How much of Prometheus' own time-out to keep for the way back.",
    )

    @property
    def host(self) -> str:
        """The address to bind; IPv6 without brackets."""
        return self.listen.host

    @property
    def port(self) -> int:
        """The port to bind; 0 means any free one."""
        return self.listen.port


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged, and how it is written."""

    level: str = option(
        "log.level",
        values.one_of("debug", "info", "warning", "error"),
        "info",
        "Least severity to log: debug, info, warning or error.",
        "LEVEL",
    )
    format: str = option(
        "log.format", values.one_of("logfmt", "json"), "logfmt", "How log lines are written: logfmt or json.", "FORMAT"
    )


Reasons = tuple[tuple[str, re.Pattern[str]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decided. `payers` maps a reference or `system|value` to a name."""

    fhir: FhirSettings
    ledger: str = option(
        "ledger", values.ledger, "fhir-task-exporter.db", "Path of the ledger (SQLite), or :memory:.", "PATH"
    )
    poll: PollSettings = PollSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    hold: float = option(
        "series.hold",
        values.duration,
        "2m",
        "How long a new series shows 0 so that Prometheus sees its first event: at least twice the longest scrape "
        "interval; 0s switches it off.",
    )
    deadline: float = option("deadline", values.deadline, "24h", "When an exchange is overdue, after authoredOn.")
    stalled_after: float = option(
        "stalled-after", values.positive_duration, "4h", "When an unchanged open Task counts as stalled."
    )
    pairs_max: int = option(
        "pairs.max",
        values.whole_number(1, 10000),
        "100",
        "Most pairs of payers with labels of their own; later ones are other.",
        "COUNT",
    )
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    payers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Reasons = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What the demonstration lets one choose; `speed` is how many simulated seconds pass in a real one."""

    speed: float = option("speed", values.number(0.1, 100000), "60", "Simulated seconds in one real second.", "FACTOR")
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


CONFIG_FILE = Option(
    name="config.file",
    parse=values.readable_file,
    default=None,
    help="YAML file with any of these options, names of payers and reasons of failures.",
    metavar="FILE",
)
OPTIONS = options_of(Settings)
DEMO_OPTIONS = options_of(DemoSettings)
