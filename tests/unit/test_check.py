"""`check` says in plain words what it found, what to do about it, and nothing that is nobody's business."""

import dataclasses
import itertools
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter import cli
from exporter.check import findings
from exporter.check import run as check
from exporter.config import FhirSettings, Settings
from exporter.fhir.client import FhirServer, SearchOptions
from exporter.fhir.http import Http
from exporter.ledger import Binding, open_ledger
from exporter.task.payers import PairRule
from exporter.task.reasons import classifier

from ..support import quirks
from ..support.builders import (
    CODE,
    TAG,
    Resource,
    at,
    by_display,
    by_identifier,
    completed,
    concept,
    failed,
    meta,
    note,
    organization,
    reference,
    task,
)
from ..support.configuration import load_with_file
from ..support.fake import BASE, START, HandClock, RecordingTransport, store, transport
from ..support.quirks import Quirk
from .ledger.ledgers import version, write

CANARY = "hunter2canary"
FHIR = FhirSettings(url=BASE, tag=TAG, code=CODE)
SETTINGS = Settings(fhir=FHIR, ledger=":memory:")
PAYERS = (organization(), organization("new-payer", "New Payer"))
TASKS = (
    task("t-1"),
    task("t-2", "in-progress"),
    completed("t-3"),
    completed("t-4"),
    failed("t-5", "The member match failed"),
)


class Case:
    """One check of a simulated server: what was printed, and what was asked."""

    def __init__(self, capsys: pytest.CaptureFixture[str], resources: Sequence[Resource] = (*PAYERS, *TASKS)) -> None:
        self.capsys = capsys
        self.clock = HandClock()
        self.ours = HandClock()
        self.store = store(self.clock)
        for resource in resources:
            self.store.put(resource)
            self.clock.advance(1)
            self.ours.advance(1)

    def run(self, *played: Quirk, settings: Settings = SETTINGS, page_size: int = 200) -> tuple[int, str]:
        self.transport: RecordingTransport = transport(quirks.played(self.store, *played))
        fhir = dataclasses.replace(settings.fhir, page_size=page_size)
        server = FhirServer(Http(fhir, transport=self.transport), fhir, SearchOptions(classifier(settings.reasons), 60))
        return check.examine(settings, server, self.ours), self.capsys.readouterr().out


@pytest.fixture
def case(capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(capsys)


HAPPY = """\
ok       server: http://fhir.example/fhir
ok       selection: tag http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes|CDR_MANAGED, code \
http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp|data-request
ok       ledger: none yet; serve will create it
ok       search: fhir.example:80 answers; Tasks can be read with no credentials
ok       clock: the server's agrees with the local one (within 60 s)
ok       software: Simulated payer network, FHIR 4.0.1
ok       cache: a repeated search gets a new answer
ok       page links: lead back to the server and work
ok       pages: too few Tasks to fill one of 200
ok       _sort: obeyed
ok       sample: 5 Tasks read, 5 of them ours by tag
ok       failures: member_match 1
ok       anomalies: none
ok       Tasks: 5 (requested 1, in-progress 1, completed 2, cancelled 0, failed 1)
ok       baseline: about 1 second, at 1,000 Tasks a second
ok       search by _lastUpdated from: obeyed
ok       search by _lastUpdated before: obeyed
ok       search by _lastUpdated from and before: obeyed
ok       search by _tag: obeyed
ok       search by status: obeyed
ok       search by status:not: obeyed
ok       pairs of payers: 1 in the sample, of at most 100
ok       payer New Payer (source of 0, requesting 5): reference Organization/new-payer
ok       payer Old Payer (source of 5, requesting 0): reference Organization/old-payer

No problems found.
"""


def test_a_good_server_gives_this_text(case: Case, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, ledger=str(tmp_path / "l.db"))
    assert case.run(settings=settings) == (0, HAPPY)
    assert list(tmp_path.iterdir()) == []


METADATA = quirks.when(
    lambda request: request.path.endswith("/metadata"), quirks.outcome_told(403, f"Patient/{CANARY} may not")
)
NOTES = {
    "_tag is refused": ((quirks.tag_retired,), "search by _tag: refused", "Activate the search parameter"),
    "_tag is ignored": ((quirks.ignoring("_tag"),), "search by _tag: ignored", "reads every Task"),
    "no upper bound": ((quirks.bound_ignored("lt"),), "search by _lastUpdated before: ignored", "reads every Task"),
    "no counts": (
        (quirks.when(quirks.is_search, quirks.total(None)),),
        "counts: the server gives none",
        "Allow _summary=count",
    ),
    "no counts by tag": ((quirks.tag_retired,), "counts: none, since", "reads every Task"),
    "small pages": ((quirks.clamped(2),), "pages: of 2 Tasks, though 200 were asked for", "maximum page size"),
    "metadata refused": ((METADATA,), "software: the server does not say (", "does not use it"),
    "a clock ahead": (
        (quirks.clock_told(lambda: START + 10_800_000),),
        "clock: the server's is 3 hours ahead of the local one",
        "NTP",
    ),
    "no clock": ((quirks.without_clock,), "clock: the server sends no timestamp", "NTP"),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_the_exporter_copes_with_is_a_note(case: Case, name: str) -> None:
    played, text, remedy = NOTES[name]
    code, told = case.run(*played)
    assert remedy in below(told, f"note     {text}")
    assert code == 0


def below(told: str, start: str) -> str:
    """Return what to do about the line that begins so."""
    lines = told.splitlines()
    found = [after for line, after in itertools.pairwise(lines) if line.startswith(start)]
    assert len(found) == 1, told
    assert found[0].startswith("         -> "), told
    return found[0]


BACKWARDS = quirks.asking(lambda query: [(name, "-" + value if name == "_sort" else value) for name, value in query])
TROUBLES = {
    "no lower bound": ((quirks.bound_ignored("ge"),), "search by _lastUpdated from: ignored", "Activate the search"),
    "no status:not": ((quirks.ignoring("status:not"),), "search by status:not: ignored", "Let the modifier :not"),
    "another order": ((BACKWARDS,), "_sort: ignored; Tasks are not sorted by their stamps", "proxy that drops it"),
    "links elsewhere": (
        (quirks.clamped(2), quirks.next_at("http://evil.example/fhir")),
        *("page links: ", "--fhir.rewrite-links"),
    ),
    "links that end": (
        (quirks.clamped(2), quirks.expired_pages),
        "page links: ",
        "No action needed: the walk continues",
    ),
    "links to themselves": ((quirks.clamped(2), quirks.next_to_itself), "page links: ", "a cache or proxy"),
    "a stubborn cache": (
        (quirks.result_cache(HandClock(), obedient=False),),
        "cache: The response came from a cache",
        "Pass Cache-Control: no-cache through",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_what_must_be_fixed_is_a_problem_and_hides_no_other(case: Case, name: str) -> None:
    played, text, remedy = TROUBLES[name]
    code, told = case.run(*played)
    assert remedy in below(told, f"problem  {text}")
    assert code == 1
    assert told.count("\nproblem") == 1
    assert told.endswith("1 problem found. Fix it and run check again.\n")
    assert "payer Old Payer" in told


LOST = {
    "nobody there": ((quirks.down,), "cannot be reached", "host and port of --fhir.url"),
    "no credentials": ((quirks.guarded(()),), "answered 401", "Check the credentials"),
    "forbidden": ((quirks.outcome_told(403, CANARY),), "answered 403", "FHIR_READ_ALL_OF_TYPE"),
    "asked to wait": ((quirks.throttled(),), "answered 429", "waits as asked"),
    "sent elsewhere": ((quirks.redirected("http://evil.example/"),), "answered 302", "the redirect target"),
    "a login page": ((quirks.login_page,), "something else than FHIR JSON", "a login page or a proxy"),
    "an error": ((quirks.outcome_told(500, CANARY),), "answered 500", "the log of the FHIR server"),
    "an outcome": ((quirks.outcome_told(200, CANARY),), "OperationOutcome", "is the FHIR base URL, not a path below"),
}


@pytest.mark.parametrize("name", LOST)
def test_a_server_that_cannot_be_searched_ends_the_check_at_once(case: Case, name: str) -> None:
    played, text, remedy = LOST[name]
    code, told = case.run(*played)
    assert remedy in below(told, "problem  search: ")
    assert code == 1
    assert text in told
    assert told.count("problem  ") == 1
    assert case.transport.count <= 2
    assert CANARY not in told


def test_a_server_that_refuses_status_still_tells_how_many_tasks_there_are(case: Case) -> None:
    code, told = case.run(quirks.refusing("status"))
    assert code == 1
    assert "ok       Tasks: 5 (by status unknown)" in told
    assert "Activate the search parameter status" in below(told, "problem  search by status: refused")


def test_a_server_that_ignores_status_is_found_out(case: Case) -> None:
    code, told = case.run(quirks.ignoring("status"))
    assert code == 1
    assert "Activate the search parameter status" in below(told, "problem  search by status: ignored")


def test_a_server_that_is_not_there_is_asked_once(case: Case) -> None:
    case.run(quirks.down)
    assert case.transport.count == 1


def test_a_server_that_goes_away_meanwhile_is_not_asked_again(case: Case) -> None:
    code, told = case.run(quirks.when(quirks.is_page, quirks.throttled()))
    assert code == 1
    assert "problem  page links: fhir.example:80 answered 429" in told
    assert quirks.is_page(case.transport.requests[-1])


# Tasks


def run(capsys: pytest.CaptureFixture[str], *resources: Resource, settings: Settings = SETTINGS) -> str:
    return Case(capsys, resources).run(settings=settings)[1]


def test_an_empty_server_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, ()).run()
    assert code == 0
    assert "note     Tasks: none matches the search; without the tag it would be 0" in told
    assert "_sort" not in told


def test_a_wrong_tag_is_recognised_by_the_tasks_that_do_not_carry_it(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", meta=meta()), task("b", meta=meta(CODE)))
    assert "Check --fhir.tag" in below(told, "note     Tasks: none matches the search; without the tag it would be 2")


def test_tasks_with_our_tag_and_another_code_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "note     foreign: 1 of 2 Tasks" in run(capsys, *PAYERS, task("a"), task("b", code=concept(TAG)))


def test_untagged_tasks_are_told_where_the_server_ignores_the_tag(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, (*PAYERS, task("a"), task("b", meta=meta()))).run(quirks.ignoring("_tag"))
    assert code == 0
    assert "sample: 2 Tasks read, 1 of them ours by tag" in told
    assert "note     search by _tag: ignored; 1 of 2 Tasks do not carry it" in told


def test_failures_without_a_reason_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, failed("a", "It failed"), failed("b", "timed out"))
    assert "ok       failures: timeout 1, unclassified 1\nnote     failures: 1 of 2 match no reason" in told


def test_anomalies_are_told_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", focus=None), task("b", focus=None, authoredOn="2026"))
    assert "note     anomalies: missing_focus 2, partial_authored_on 1\n" in told


def test_a_stamp_in_the_future_is_an_anomaly(case: Case) -> None:
    case.store.put(task("t-9"), stamp=START + 3_600_000)
    assert "note     anomalies: future_stamp 1\n" in case.run()[1]


def test_the_sample_is_of_the_newest_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(capsys, PAYERS)
    for days, status in ((40, "cancelled"), (3, "failed"), (2, "failed")):
        case.store.put(task(f"t-{days}", status, note=note("timed out")), stamp=START - days * 86_400_000)
    told = case.run(page_size=2)[1]
    assert "sample: 2 Tasks read" in told
    assert "Tasks: 3 (" in told


def test_more_pairs_than_labels_are_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    settings = dataclasses.replace(SETTINGS, pairs_max=1)
    told = run(capsys, task("a", owner=by_display("A")), task("b", owner=by_display("B")), settings=settings)
    assert "problem  pairs of payers: 2 in the sample; those past 1 are shown as other\n" in told
    assert "-> Raise --pairs.max to 4, say" in told


def test_the_printed_table_is_one_that_the_configuration_takes(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = (
        task("a", requester=None, owner=reference("Organization/42")),
        task("b", requester=None, owner=by_identifier("9941339108")),
        task("c", requester=None, owner=reference("https://elsewhere.example/fhir/Organization/7")),
        task("d", requester=None, owner=reference("#gone")),
        task("e", requester=None, owner=reference("Practitioner/7", display="Dr Who")),
        task("f", requester=None, owner=by_identifier('we"ird: # ü', system="urn:x")),
    )
    told = run(capsys, *tasks)
    table = told.partition("\npayers:\n")[2].partition("\n\n")[0]
    found = load_with_file({"fhir.url": [BASE]}, {}, f"payers:\n{table}\n").payers
    assert set(found) == {
        "Organization/42",
        "http://hl7.org/fhir/sid/us-npi|9941339108",
        "https://elsewhere.example/fhir/Organization/7",
        'urn:x|we"ird: # ü',
    }
    settings = dataclasses.replace(SETTINGS, payers=found)
    assert "payers: some have no name" not in run(capsys, *tasks, settings=settings)


def test_a_number_that_the_operator_chose_as_a_name_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    settings = dataclasses.replace(SETTINGS, payers={"9941339108": "9941339108"})
    told = run(capsys, task("a", requester=None, owner=by_identifier("9941339108")), settings=settings)
    assert "payer 9941339108 (source of 1, requesting 0)" in told
    assert "payers: some have no name" not in told


def test_persons_are_told_by_their_type_word_only(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", owner=reference(f"Practitioner/{CANARY}", display=CANARY)))
    assert "payer Practitioner (source of 1, requesting 0): no organization" in told
    assert CANARY not in told


def test_many_payers_are_told_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, *(task(f"t-{n}", owner=by_display(f"Payer {n}")) for n in range(40)))
    assert told.count("ok       payer Payer ") + told.count("note     payer ") == 30
    assert "ok       payers: 11 more\n" in told


def test_control_characters_of_the_server_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", owner=by_identifier("1\x1b[31m2", system="urn:\x07x")))
    assert "identifier urn:x|1[31m2" in told
    assert "\x1b" not in told
    assert "\x07" not in told


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
    assert "with basic authentication" in told
    assert "further search parameters _id:not (values not shown)" in told
    assert CANARY not in told


# The ledger


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (BASE, "note     ledger: in use by another process\n"),
        ("http://elsewhere.example/fhir", "note     ledger: in use by another process\n"),
    ],
)
def test_a_ledger_in_use_is_a_note(case: Case, tmp_path: Path, url: str, told: str) -> None:
    ledger, _ = open_ledger(str(tmp_path / "l.db"), Binding(url, FHIR.selection), PairRule(100))
    code, text = case.run(settings=dataclasses.replace(SETTINGS, ledger=str(tmp_path / "l.db")))
    ledger.close()
    assert code == 0
    assert told in text


def test_a_ledger_of_another_source_is_a_problem_beside_the_servers(case: Case, tmp_path: Path) -> None:
    path = str(tmp_path / "l.db")
    ledger, _ = open_ledger(path, Binding("http://elsewhere.example/fhir", FHIR.selection), PairRule(100))
    write(ledger, version("a"))
    ledger.close()
    code, told = case.run(quirks.down, settings=dataclasses.replace(SETTINGS, ledger=path))
    assert code == 1
    assert f"ledger: the ledger {path} is not used: it was made for the FHIR server elsewhere.example:80" in told
    assert told.endswith("2 problems found. Fix them and run check again.\n")
    code, told = case.run(settings=dataclasses.replace(SETTINGS, ledger=path, ledger_rebind=True))
    assert code == 0
    assert "note     ledger: made for another address or selection; serve will look for its Tasks here" in told


def test_a_damaged_ledger_is_a_problem_that_says_what_serve_will_do(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    open_ledger(str(path), Binding(BASE, FHIR.selection), PairRule(100))[0].close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 8192)
    code, told = case.run(settings=dataclasses.replace(SETTINGS, ledger=str(path)))
    assert code == 1
    assert f"problem  ledger: the ledger {path} is damaged\n" in told
    assert "serve sets the file aside and creates a new ledger; its counters start at 0." in told
    assert "permissions" not in told


# The command


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
    assert "problem  search: 127.0.0.1:" in found.stdout
    assert found.stdout.count("problem  ") == 1
    assert CANARY not in found.output
    assert not (tmp_path / "l.db").exists()


def test_marks_are_coloured_for_a_terminal_only() -> None:
    @cli.main.command("coloured")
    def coloured() -> None:
        check.print_finding(findings.problem("x: y", "z"))

    del cli.main.commands["coloured"]
    assert "\x1b[31m" in CliRunner().invoke(coloured, color=True).stdout
    assert CliRunner().invoke(coloured).stdout == "problem  x: y\n         -> z\n"
