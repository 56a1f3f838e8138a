"""`check` says in plain words what it found, what to do about it, and nothing that is nobody's business."""

import dataclasses
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter import cli
from exporter.check import findings, output

from ...support import quirks
from ...support.builders import (
    at,
    concept,
    failed,
    note,
    reference,
    task,
)
from .case import CANARY, FHIR, SETTINGS, Case

METADATA = quirks.when(
    lambda request: request.path.endswith("/metadata"), quirks.outcome_told(403, f"Patient/{CANARY} may not")
)
HAPPY = """\
OK    configuration: server http://fhir.example/fhir
OK    configuration: tag http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes|CDR_MANAGED, code \
http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp|data-request
OK    configuration: deadline 24 hours
OK    ledger: none yet; serve will create it
OK    name: fhir.example was found
OK    connect: fhir.example:80 answers
WARN  TLS: none (http); nothing is encrypted, neither credentials nor Tasks
      -> Use https in --fhir.url if you can.
OK    authentication: none is configured or needed
OK    Task: can be searched
OK    clock: the server's agrees with the local one (within 60 s)
OK    cache: a repeated search gets a new answer
OK    page links: lead back to the server and work
OK    pages: too few Tasks to fill one of 200
OK    _sort: obeyed
OK    sample: 5 Tasks read, 5 with the tag
OK    failures: member_match 1
OK    anomalies: none
OK    Tasks: 5 (requested 1, in-progress 1, completed 2, cancelled 0, failed 1)
OK    baseline: about 1 second, at 1,000 Tasks a second
OK    Organization: can be read
OK    metadata: Simulated payer network, FHIR 4.0.1
OK    search by _lastUpdated from: obeyed
OK    search by _lastUpdated before: obeyed
OK    search by _lastUpdated from and before: obeyed
OK    search by _tag: obeyed
OK    search by status: obeyed
OK    search by status:not: obeyed
OK    pairs of payers: 1 in the sample, of at most 100
OK    payer New Payer (answers 0, asks 5): reference Organization/new-payer
OK    payer Old Payer (answers 5, asks 0): reference Organization/old-payer
INFO  payers: a table of those without an entry; with it, the sample has 1 pair of payers
      -> Optional. Those with one parent become one payer, for good: \
https://github.com/fhir-task-exporter/fhir-task-exporter/blob/main/docs/payers.md says more.

payers:
  - name: "New Payer"
    references: ["Organization/new-payer"]
  - name: "Old Payer"
    references: ["Organization/old-payer"]

No problems found.
"""


def test_a_good_server_gives_this_text(case: Case, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, ledger=str(tmp_path / "l.db"))
    assert case.run(settings=settings) == (0, HAPPY)
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_members_or_secrets_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    phi: dict[str, Any] = {
        "for_": reference(f"Patient/{CANARY}", display=CANARY),
        "focus": reference(f"Consent/{CANARY}", display=CANARY),
        "note": note(f"{CANARY} was not found"),
        "statusReason": concept(text=CANARY),
        "text": {"div": f"<div>{CANARY}</div>"},
        "owner": reference(f"Coverage/{CANARY}"),
        "requester": reference(f"Organization?member={CANARY}"),
    }
    fhir = dataclasses.replace(FHIR, search=(("_id:not", CANARY),), username=CANARY, password_file=f"/{CANARY}")
    settings = dataclasses.replace(SETTINGS, fhir=fhir)
    played = (quirks.elements_ignored, quirks.dropping("_id:not"), METADATA)
    code, told = Case(capsys, (failed(CANARY, **phi), task(f"{CANARY}-2", **phi, authoredOn=at(1)))).run(
        *played, settings=settings
    )
    assert code == 0, told
    assert "Tasks: 2 (" in told
    assert "authentication: basic authentication not refused" in told
    assert "further search parameters _id:not (values not shown)" in told
    assert CANARY not in told


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", *arguments], env={})


def test_the_command_exits_1_where_nobody_listens_and_shows_no_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(CANARY)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/fhir"
        found = invoke(f"--fhir.url={url}", f"--fhir.bearer-token-file={token}", f"--ledger={tmp_path / 'l.db'}")
    assert found.exit_code == 1
    assert "OK    name: 127.0.0.1 is an address\n" in found.stdout
    assert "FAIL  connect: 127.0.0.1:" in found.stdout
    assert found.stdout.count("FAIL  ") == 1
    assert CANARY not in found.output
    assert not (tmp_path / "l.db").exists()


def test_marks_are_colored_for_a_terminal_only() -> None:
    @cli.main.command("colored")
    def colored() -> None:
        output.print_finding(findings.fail("x: y", "z"))

    del cli.main.commands["colored"]
    assert "\x1b[31m" in CliRunner().invoke(colored, color=True).stdout
    assert CliRunner().invoke(colored).stdout == "FAIL  x: y\n      -> z\n"
