"""`check` walks the steps, and says at which it stopped."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.check import steps
from exporter.check.steps import STOPS, Step
from exporter.demo.server import Response
from exporter.errors import (
    AuthFailed,
    CertificateExpired,
    ConnectionReset,
    ConnectRefused,
    NameNotFound,
    NotTls,
    ServerError,
    TimedOut,
    TlsExpected,
    TlsFailed,
    UnknownAuthority,
    Unreachable,
    WrongHostName,
)
from exporter.fhir.auth import Basic
from exporter.fhir.links import parse_base_url

from ...support import quirks
from ...support.fake import Answer
from .case import CANARY, FHIR, SETTINGS, Case, below

HTTPS = "https://fhir.example/fhir"
STEPS = ("configuration", "ledger", "name", "connect", "TLS", "authentication", "Task", "Organization")


def raising(error: ServerError) -> quirks.Quirk:
    """Fail each request so, as the client does."""

    def failing(_: Answer) -> Answer:
        def fail(_: object) -> Response:
            raise error

        return fail

    return failing


def over(url: str, **fhir: Any) -> Any:
    return dataclasses.replace(SETTINGS, fhir=dataclasses.replace(FHIR, url=url, **fhir))


def marks(told: str) -> list[tuple[str, str]]:
    """List the steps that have a line, each with its mark."""
    found = [line.split(maxsplit=1) for line in told.partition("\n\n")[0].splitlines() if not line.startswith(" ")]
    named = [(mark, text.partition(":")[0]) for mark, text in found]
    return [(mark, name) for mark, name in dict.fromkeys(named) if name in STEPS]


FAILING: dict[type[ServerError], str] = {
    NameNotFound: "name",
    ConnectRefused: "connect",
    ConnectionReset: "connect",
    Unreachable: "connect",
    TimedOut: "connect",
    UnknownAuthority: "TLS",
    WrongHostName: "TLS",
    CertificateExpired: "TLS",
    NotTls: "TLS",
    TlsFailed: "TLS",
    AuthFailed: "authentication",
}


NAME_UNPROVEN = (Unreachable, TimedOut)
"""Errors that may come before the name is found."""


@pytest.mark.parametrize("kind", FAILING)
def test_the_error_of_the_first_search_tells_at_which_step_it_stopped(case: Case, kind: type[ServerError]) -> None:
    code, told = case.run(raising(kind("It failed.")), settings=over(HTTPS, bearer_token_file="/token"))
    failed = STEPS.index(FAILING[kind])
    assert code == 1
    proven = STEPS[2:failed] if kind not in NAME_UNPROVEN else ()
    assert marks(told)[2:] == [*(("OK", step) for step in proven), ("FAIL", STEPS[failed])]
    assert kind.remedy in below(told, f"FAIL  {FAILING[kind]}: It failed.")
    missing = ("name",) if kind in NAME_UNPROVEN else ()
    rest = ", ".join((*missing, *STEPS[failed + 1 :], "search parameters"))
    assert f"\nINFO  stopped at {FAILING[kind]}; not tested: {rest}\n" in told
    assert case.transport.count == 1


def test_each_error_of_the_server_belongs_to_a_step_after_those_that_are_proven() -> None:
    order = list(Step)
    assert STOPS[-1][0] is ServerError
    assert all(order.index(stop.proven) < order.index(stop.at) for _, stop in STOPS)


ANSWERED = {
    "asked to wait": (quirks.throttled(), "answered 429", "waits as asked"),
    "sent elsewhere": (quirks.redirected("http://evil.example/"), "answered 302", "the redirect target"),
    "a login page": (quirks.login_page, "something else than FHIR JSON", "a login page or a proxy"),
    "an error": (quirks.outcome_told(500, CANARY), "answered 500", "the log of the FHIR server"),
    "an outcome": (quirks.outcome_told(200, CANARY), "OperationOutcome", "is the FHIR base URL, not a path below"),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_that_is_no_search_result_stops_at_task_and_proves_no_authentication(case: Case, name: str) -> None:
    played, text, remedy = ANSWERED[name]
    code, told = case.run(played)
    assert code == 1
    assert remedy in below(told, "FAIL  Task: ")
    assert text in told
    assert told.count("FAIL  ") == 1
    assert "OK    connect: fhir.example:80 answers\n" in told
    assert "INFO  stopped at Task; not tested: authentication, Organization, search parameters\n" in told
    assert case.transport.count <= 2
    assert CANARY not in told


def test_a_server_that_refuses_the_credentials_fails_at_authentication(case: Case) -> None:
    code, told = case.run(quirks.guarded(()))
    assert code == 1
    assert "Set --fhir.username" in below(told, "FAIL  authentication: fhir.example:80 answered 401")
    assert "No credentials are configured." in told


def test_a_server_that_is_not_there_is_asked_once(case: Case) -> None:
    case.run(quirks.down)
    assert case.transport.count == 1


def test_a_server_that_goes_away_meanwhile_is_not_asked_again(case: Case) -> None:
    code, told = case.run(quirks.when(quirks.is_page, quirks.throttled()))
    assert code == 1
    assert "FAIL  page links: fhir.example:80 answered 429" in told
    assert "INFO  stopped at Task; not tested: Organization, search parameters\n" in told
    assert quirks.is_page(case.transport.requests[-1])


def test_a_server_that_fails_at_the_counts_still_has_its_other_steps_tested(case: Case) -> None:
    counting = quirks.when(lambda request: ("_summary", "count") in request.query, quirks.outcome_told(500, CANARY))
    code, told = case.run(counting)
    assert code == 1
    assert "FAIL  counts: fhir.example:80 answered 500" in told
    assert "OK    Organization: can be read\n" in told
    assert "stopped at" not in told


def test_a_password_file_that_cannot_be_read_is_a_fault_of_the_configuration(case: Case, tmp_path: Path) -> None:
    case.auth = Basic("exporter", tmp_path / "none")
    code, told = case.run()
    assert code == 1
    assert f"FAIL  configuration: The secret file {tmp_path / 'none'} cannot be read" in told
    assert ("WARN", "ledger") in marks(told)
    rest = "name, connect, TLS, authentication, Task, Organization, search parameters"
    assert f"INFO  stopped at configuration; not tested: {rest}\n" in told
    assert case.transport.count == 0


# The lines of steps that work


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://fhir.example/fhir", "OK    name: fhir.example was found\n"),
        ("http://10.0.0.1:8000/fhir", "OK    name: 10.0.0.1 is an address\n"),
        ("http://10.0.0.1:8000/fhir", "OK    connect: 10.0.0.1:8000 answers\n"),
        ("http://[2001:db8::1]/fhir", "OK    name: [2001:db8::1] is an address\n"),
        ("http://fhir.example/fhir", "WARN  TLS: none (http); nothing is encrypted"),
        ("http://10.0.0.1/fhir", "WARN  TLS: none (http); nothing is encrypted"),
        ("http://localhost/fhir", "OK    TLS: none (http); nothing is encrypted, and nothing leaves this machine\n"),
        ("http://127.0.0.1/fhir", "OK    TLS: none (http); nothing is encrypted, and nothing leaves this machine\n"),
        ("http://[::1]/fhir", "OK    TLS: none (http); nothing is encrypted, and nothing leaves this machine\n"),
        (HTTPS, "OK    TLS: the certificate is trusted, by the authorities of this system\n"),
        (HTTPS, "OK    authentication: none is configured or needed\n"),
        (HTTPS, "OK    Task: can be searched\n"),
    ],
)
def test_each_step_that_works_has_a_line(case: Case, url: str, line: str) -> None:
    assert f"\n{line}" in case.run(settings=over(url))[1]


CREDENTIALS: Sequence[tuple[dict[str, str], str]] = (
    ({"username": CANARY, "password_file": f"/{CANARY}"}, "basic authentication"),
    ({"bearer_token_file": f"/{CANARY}"}, "bearer token"),
    ({"client_cert_file": f"/{CANARY}"}, "client certificate"),
    ({"bearer_token_file": f"/{CANARY}", "client_cert_file": f"/{CANARY}"}, "bearer token and client certificate"),
)


@pytest.mark.parametrize(("fhir", "kind"), CREDENTIALS)
def test_the_kind_of_credentials_is_told_but_no_name_or_file(case: Case, fhir: dict[str, str], kind: str) -> None:
    told = case.run(settings=over(FHIR.url, **fhir))[1]
    assert f"OK    authentication: {kind} not refused\n" in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("ca_file", "authorities"),
    [(None, "the authorities of this system"), ("/ca.pem", "the authorities in --fhir.ca-file /ca.pem")],
)
def test_the_authorities_in_force_are_told(ca_file: str | None, authorities: str) -> None:
    fhir, home = dataclasses.replace(FHIR, ca_file=ca_file), parse_base_url(HTTPS)
    passed = steps.passed(fhir, home, Step.TLS)
    assert f"TLS: the certificate is trusted, by {authorities}" in [finding.text for finding in passed]
    stopped = steps.stopped(fhir, home, UnknownAuthority("It failed."))
    assert stopped.text == f"TLS: It failed. Certificates are checked against {authorities}."


def test_a_port_that_expects_tls_has_no_use_for_authorities(case: Case) -> None:
    told = case.run(raising(TlsExpected("It failed.")))[1]
    assert "FAIL  TLS: It failed.\n" in told
