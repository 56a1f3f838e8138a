"""Every option of the exporter, one row each, and the frozen Settings that the rest of the program is given.

A row yields the flag, the environment variable, the key in the YAML file, the validation, the default and the
documentation of its option. Durations are in seconds. Of a secret, only the path of its file is here.
"""
# ruff: noqa: RUF009 - option() and its siblings return dataclasses.field with the row as its metadata

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from types import MappingProxyType

from ..task.model import Coding, Selection
from ..task.payer_table import PayerTable
from . import calendar, values
from .calendar import ClosedDays
from .fields import Option, clearable, credential, option, options_of, repeatable, required, switch
from .values import Address, DeadlineLength

_TAG = "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes|CDR_MANAGED"
_CODE = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp|data-request"
_FILE = values.readable_file


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Settings:
    """How to get access tokens for the FHIR server: as which client, from where, and for what."""

    client_id: str | None = credential(
        "fhir.oauth2.client-id", values.client_id, "Client id for OAuth2 client credentials.", "ID"
    )
    token_url: str | None = option(
        "fhir.oauth2.token-url",
        values.token_url,
        None,
        "Token endpoint; without it, the one that the FHIR server names in .well-known/smart-configuration (or "
        ".well-known/openid-configuration) below --fhir.url, if it is on the same host or domain.",
        "URL",
    )
    client_secret_file: str | None = credential(
        "fhir.oauth2.client-secret-file",
        values.secret_file,
        "File with the client secret; read again when it changes.",
        "FILE",
    )
    auth_method: str = option(
        "fhir.oauth2.auth-method",
        values.one_of("basic", "post"),
        "basic",
        "How to send the client secret: client_secret_basic or client_secret_post.",
        "METHOD",
    )
    private_key_file: str | None = credential(
        "fhir.oauth2.private-key-file",
        values.secret_file,
        "File with the private key (PEM, JWK or JWKS; RSA for RS384, or EC P-384 for ES384) for SMART Backend "
        "Services; read again when it changes.",
        "FILE",
    )
    key_id: str | None = option(
        "fhir.oauth2.key-id",
        values.visible,
        None,
        "Id (kid) under which the public key is registered; a JWK can contain it.",
        "ID",
    )
    scope: str = clearable(
        "fhir.oauth2.scope",
        values.scope,
        "system/Task.read system/Organization.read",
        "Scopes to ask for; empty: those that the authorization server gives by default.",
        "SCOPES",
    )
    audience: str | None = option(
        "fhir.oauth2.audience",
        values.visible,
        None,
        "Audience (aud) of the signed assertion, where it is not exactly the URL of the token endpoint.",
        "URL",
    )
    jwt_type: str = option(
        "fhir.oauth2.jwt-type",
        values.jwt_type,
        "JWT",
        "Type (typ) of the signed assertion; RFC 10070 has client-authentication+jwt.",
        "TYPE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSettings:
    """Where the Tasks are, which of them to count, and how to connect."""

    url: str = field(metadata=required("fhir.url", values.base_url, "Base URL of the FHIR endpoint.", "URL"))
    tag: Coding | None = clearable(
        "fhir.tag", values.coding, _TAG, "Tag of the Tasks to count; empty: any tag.", "SYSTEM|CODE"
    )
    code: Coding | None = clearable(
        "fhir.code", values.coding, _CODE, "Code of the Tasks to count; empty: any code.", "SYSTEM|CODE"
    )
    search: tuple[tuple[str, str], ...] = repeatable(
        "fhir.search", values.search_parameter, "Additional FHIR search parameter for selecting Tasks.", "NAME=VALUE"
    )
    page_size: int = option(
        "fhir.page-size", values.whole_number(1, 500), "200", "Tasks to request per page (_count).", "COUNT"
    )
    timeout: float = option(
        "fhir.timeout", values.positive_duration, "10s", "Timeout of one request to the FHIR server."
    )
    rewrite_links: bool = switch(
        "fhir.rewrite-links",
        "Follow page links on --fhir.url, keeping only their path and query; for proxies that rewrite host names.",
    )
    allow_plain_http: bool = switch(
        "fhir.allow-plain-http",
        "Allow sending credentials over unencrypted HTTP to a host other than localhost.",
    )
    bearer_token_file: str | None = credential(
        "fhir.bearer-token-file", values.secret_file, "File with a bearer token; read again when it changes.", "FILE"
    )
    username: str | None = credential("fhir.username", values.user_name, "User name for basic authentication.", "NAME")
    password_file: str | None = credential(
        "fhir.password-file",
        values.secret_file,
        "File with the password for --fhir.username; read again when it changes.",
        "FILE",
    )
    oauth2: OAuth2Settings = OAuth2Settings()
    ca_file: str | None = option(
        "fhir.ca-file", _FILE, None, "CA certificates (PEM) to trust instead of the system's.", "FILE"
    )
    client_cert_file: str | None = option(
        "fhir.client-cert-file", _FILE, None, "Client certificate (PEM) for mutual TLS.", "FILE"
    )
    client_key_file: str | None = option(
        "fhir.client-key-file",
        _FILE,
        None,
        "Private key (PEM) of the client certificate, if it is in a separate file.",
        "FILE",
    )

    @property
    def selection(self) -> Selection:
        """Which Tasks to count."""
        return Selection(self.tag, self.code, self.search)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSettings:
    """How to poll for changes."""

    min_interval: float = option(
        "poll.min-interval",
        values.duration,
        "5s",
        "Minimum time between polls; scrapes in between get the result of the last one.",
    )
    max_staleness: float = option(
        "poll.max-staleness",
        values.positive_duration,
        "5m",
        "How long gauges remain after the last complete poll; then they disappear.",
    )
    overlap: float = option(
        "poll.overlap",
        values.duration,
        "30s",
        "How far a poll overlaps the one before, to catch writes that become visible late.",
    )
    timeout: float = option(
        "poll.timeout", values.positive_duration, "60s", "Time limit for each batch of up to 2,000 Tasks."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """How often to compare the ledger with the server."""

    open_interval: float = option(
        "reconcile.open-interval",
        values.positive_duration,
        "5m",
        "How often to compare open and recently changed Tasks with the server.",
    )
    lookback: float = option(
        "reconcile.lookback",
        values.positive_duration,
        "15m",
        "Age up to which changed Tasks are compared again.",
    )
    full_interval: float = option(
        "reconcile.full-interval",
        values.positive_duration,
        "1h",
        "How often to compare all Tasks with the server, by counts.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJobsSettings:
    """Where the batch jobs are: Smile CDR's JSON Admin API. TLS and the time limit are those of FhirSettings."""

    url: str | None = option(
        "batch-jobs.url",
        values.admin_url,
        None,
        "Base URL of Smile CDR's JSON Admin API, to watch its batch jobs.",
        "URL",
    )
    module: str | None = option(
        "batch-jobs.module", values.module_id, None, "Id of the FHIR Storage module whose batch jobs to watch.", "ID"
    )
    username: str | None = credential(
        "batch-jobs.username", values.user_name, "User name for basic authentication at the Admin API.", "NAME"
    )
    password_file: str | None = credential(
        "batch-jobs.password-file",
        values.secret_file,
        "File with the password for --batch-jobs.username; read again when it changes.",
        "FILE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where and how to answer scrapes."""

    listen: Address = option(
        "web.listen-address",
        values.listen_address,
        "127.0.0.1:9842",
        "Address to listen on; :9842 for all.",
        "HOST:PORT",
    )
    config_file: str | None = option(
        "web.config.file",
        _FILE,
        None,
        "File with TLS, users and limits of this server, in the format of Prometheus' exporter-toolkit; read again "
        "when it changes.",
        "FILE",
    )
    allowed_hosts: tuple[str, ...] = repeatable(
        "web.allowed-host",
        values.host_name,
        "Host name that requests may be addressed to, against DNS rebinding; others get 403. By default any.",
        "HOST",
    )
    scrape_timeout_offset: float = option(
        "web.scrape-timeout-offset",
        values.duration,
        "1s",
        "Time to subtract from Prometheus' scrape timeout, so that the response arrives in time.",
    )
    enable_lifecycle: bool = switch(
        "web.enable-lifecycle", "Read the configuration file again on a POST or PUT request to /-/reload."
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
    """What is logged, and in which format."""

    level: str = option(
        "log.level",
        values.one_of("debug", "info", "warning", "error"),
        "info",
        "Minimum severity to log.",
        "LEVEL",
    )
    format: str = option("log.format", values.one_of("logfmt", "json"), "logfmt", "Format of log lines.", "FORMAT")


Reasons = tuple[tuple[str, re.Pattern[str]], ...]


def _ledger() -> str:
    return option(
        "ledger", values.ledger, "fhir-task-exporter.db", "Path of the ledger (SQLite database), or :memory:.", "PATH"
    )


def _pairs_max() -> int:
    return option(
        "pairs.max",
        values.whole_number(1, 10000),
        "100",
        "Maximum number of payer pairs with their own labels; later pairs are labeled other.",
        "COUNT",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator configured.

    `payer_deadlines` has the names of source payers with a deadline of their own; `closed_days` are no business days.
    """

    fhir: FhirSettings
    ledger: str = _ledger()
    ledger_rebind: bool = switch(
        "ledger.rebind",
        "Take over the ledger of another --fhir.url if the Tasks in it are found on this server: for a server that "
        "changed its address.",
    )
    poll: PollSettings = PollSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    history: bool = switch(
        "history",
        "Read the instance history of Tasks that changed more than once between two polls, so that each status counts.",
        on=True,
    )
    hold: float = option(
        "series.hold",
        values.duration,
        "2m",
        "How long a series keeps its old value, 0 if it is new, so that Prometheus scrapes it before its first event: "
        "at least twice the longest scrape interval; 0s turns this off.",
    )
    exemplars: bool = switch(
        "metrics.exemplars",
        "Add Task ids as OpenMetrics exemplars to durations and failures; Prometheus may then store them.",
    )
    deadline: DeadlineLength = option(
        "deadline",
        values.deadline,
        "24h",
        "Time after authoredOn when an exchange becomes overdue; 1bd is one business day. Overdue is evidence about a "
        "partner, not a breach: the rule defines no calendar, and the time includes your own queue.",
    )
    timezone: tzinfo = option(
        "timezone", calendar.timezone, "UTC", "Time zone (IANA) in which business days begin and end.", "ZONE"
    )
    holidays: str | None = option(
        "holidays",
        calendar.holidays,
        None,
        "Country, or country and state, whose public holidays are not business days, such as US or US-NY.",
        "PLACE",
    )
    stalled_after: float = option(
        "stalled-after",
        values.positive_duration,
        "4h",
        "Time without changes after which an open Task counts as stalled.",
    )
    pairs_max: int = _pairs_max()
    probe_path: str = option(
        "probe.path",
        values.operation_path,
        "$export-poll-status",
        "How the path of an export job's status URL ends, below --fhir.url; /probe asks for no other address.",
        "PATH",
    )
    batch_jobs: BatchJobsSettings = BatchJobsSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    payers: PayerTable = PayerTable()
    payer_deadlines: Mapping[str, DeadlineLength] = field(default_factory=lambda: MappingProxyType({}))
    closed_days: ClosedDays = frozenset()
    reasons: Reasons = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonsSettings:
    """What `reasons test` reads of a file."""

    reasons: Reasons = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """The options of the demo; `speed` is in simulated seconds per real second."""

    speed: float = option("speed", values.number(0.1, 100000), "60", "Simulated seconds per real second.", "FACTOR")
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """The options of the commands that need the ledger and no server; `payers` as in Settings."""

    ledger: str = _ledger()
    pairs_max: int = _pairs_max()
    log: LogSettings = LogSettings()
    payers: PayerTable = PayerTable()


CONFIG_FILE = Option(
    name="config.file",
    parse=values.readable_file,
    default=None,
    help="YAML file with any of these options, payer names and failure reasons.",
    metavar="FILE",
)
OPTIONS = options_of(Settings)
_NOT_ONCE = (
    *("poll.min-interval", "poll.max-staleness", "reconcile.", "series.", "metrics."),
    *("probe.", "batch-jobs.", "web."),
)
"""What a command that polls once and serves nothing has no use for."""
ONCE_OPTIONS = tuple(
    replace(each, default=values.MEMORY) if each.name == "ledger" else each
    for each in OPTIONS
    if not each.name.startswith(_NOT_ONCE)
)
DEMO_OPTIONS = options_of(DemoSettings)
LEDGER_OPTIONS = options_of(LedgerSettings)
REBIND_OPTIONS = tuple(
    each for each in OPTIONS if each.name in {"ledger", "poll.timeout"} or each.name.startswith(("fhir.", "log."))
)
"""What `ledger rebind` needs to read Tasks."""
_WATCHED = ("fhir.", "deadline", "timezone", "holidays", "probe.", "batch-jobs.", "log.")
_NOT_WATCHED = ("fhir.tag", "fhir.code", "fhir.search", "fhir.page-size", "fhir.rewrite-links")
WATCH_OPTIONS = tuple(
    each for each in OPTIONS if each.name.startswith(_WATCHED) and not each.name.startswith(_NOT_WATCHED)
)
"""What `watch` needs: it reads one thing by its address, and searches for nothing."""
