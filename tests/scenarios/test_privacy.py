"""Nothing of a member leaves: marked strings in all that a server can send, looked for in all that we show.

Each string is looked for as it is, in base64 (at each alignment), in hex, and percent-encoded. The ledger alone may
hold something of it: the ids of Tasks, and the names of payers.
"""

import base64
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from exporter.demo.server import JSON, Response, outcome
from exporter.errors import ServerError
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.task.model import Event, Selection
from exporter.task.search import Search
from exporter.web.backend import Backend, PageOptions
from exporter.web.landing import render

from ..support import fake, quirks
from ..support.builders import TAG, Resource, coding, completed, failed, organization, task
from ..support.canaries import hits
from ..support.exposition import errors, is_up, totals
from ..support.log_lines import Logs
from ..support.quirks import Quirk
from ..support.rig import SELECTION, Rig, settled

PATIENT = "CanaryPatient83151"
CONSENT = "CanaryConsent27741"
NOTE = "CanaryNote-Jane.Doe-19"
IDENTIFIER = "CanaryMBI1EG4TE5MK73"
PERSON = "CanaryDrSomebody404"
TOKEN = "CanaryToken.eyJhbGciOi.J9"
PASSWORD = "CanaryPassword:5up3r"
DIAGNOSTICS = "CanaryDiagnostics666"
HEADER = "CanaryHeader12345"
TASK = "canary-task-0815"
SECRETS = (PATIENT, CONSENT, NOTE, IDENTIFIER, PERSON, TOKEN, PASSWORD, DIAGNOSTICS, HEADER)


@pytest.mark.parametrize("secret", [*SECRETS, TASK])
def test_a_secret_is_found_in_every_form_wherever_it_is(secret: str) -> None:
    data = secret.encode()
    assert hits(f"x{secret.upper()}y", secret)
    assert hits(data.hex().upper(), secret)
    assert hits("".join(f"%{byte:02X}" for byte in data), secret)
    for before in (b"", b"a", b"ab", b"abc", b"user:"):
        assert hits(base64.b64encode(before + data + b" and more").decode(), secret)
    assert not hits("nothing of the kind", secret)


def shown(rig: Rig) -> str:
    """All that a scrape, a person and a probe are shown."""
    backend = Backend(rig.worker, rig.probes, rig.telemetry, Thread(), PageOptions("fhir.example:80"))
    published = backend.published()
    pages = [backend.render(published, form).decode() for form in Format]
    landing = backend.landing()
    return "\n".join([*pages, repr(landing), render(landing, fake.START).decode(), str(backend.unready_reason())])


def loaded() -> Iterator[Resource]:
    """Tasks with a marked string in every free text and every identifier."""
    patient = {
        "reference": f"Patient/{PATIENT}",
        "display": PATIENT,
        "identifier": {"system": "x", "value": IDENTIFIER},
    }
    everywhere: dict[str, Any] = {
        "text": {"status": "generated", "div": f"<div>{PATIENT}</div>"},
        "description": NOTE,
        "note": [{"text": NOTE, "authorString": PERSON, "authorReference": patient}],
        "statusReason": {"text": NOTE, "coding": [{"system": NOTE, "code": NOTE, "display": NOTE}]},
        "businessStatus": {"text": NOTE},
        "focus": {"reference": f"Consent/{CONSENT}", "display": CONSENT, "identifier": {"value": IDENTIFIER}},
        "for_": patient,
        "encounter": {"reference": f"Encounter/{PATIENT}"},
        "identifier_": [{"system": "http://example.org/mbi", "value": IDENTIFIER}],
        "groupIdentifier": {"value": IDENTIFIER},
        "input": [{"type": {"text": NOTE}, "valueString": PATIENT, "valueReference": patient}],
        "output": [
            {"type": {"text": NOTE, "coding": [{"code": NOTE}]}, "valueReference": {"reference": f"x/{PATIENT}"}}
        ],
        "contained": [{"resourceType": "Patient", "id": PATIENT, "name": [{"family": PATIENT}]}],
        "extension": [{"url": "http://example.org", "valueString": PATIENT}],
        "meta": {"tag": [coding(TAG), {"system": NOTE, "code": PATIENT, "display": PATIENT}], "source": PATIENT},
        "_status": {"extension": [{"url": "x", "valueString": PATIENT}]},
        "restriction": {"recipient": [patient]},
    }
    for status in ("requested", "failed", "completed", NOTE, None):
        yield task(f"{TASK}-{status if status != NOTE else 'odd'}", status, **everywhere)
    for n, kind in enumerate(("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person", "CareTeam")):
        person = {"reference": f"{kind}/{PERSON}", "display": PERSON, "identifier": {"value": IDENTIFIER}}
        yield task(f"{TASK}-owner-{n}", owner=person, requester={"type": kind, "display": PERSON}, for_=patient)
    odd: list[dict[str, Any]] = [{"note": NOTE}, {"status": [NOTE]}, {"authoredOn": NOTE}, {"owner": [NOTE]}]
    for n, elements in enumerate(odd):
        yield task(f"{TASK}-bad-{n}", **elements)
    yield failed(f"{TASK}-note", f"The export for {PATIENT} failed: {NOTE}", authoredOn=PATIENT)


def test_nothing_of_a_task_is_shown_or_logged_and_only_ids_and_payers_rest(tmp_path: Path, logs: Logs) -> None:
    rig = settled(
        organization("old-payer", "CanaryPayerName", telecom=[{"value": PERSON}], contact=[{"x": PERSON}]),
        quirks=[quirks.elements_ignored],
        path=str(tmp_path / "ledger.db"),
    )
    for resource in loaded():
        rig.store.put(resource)
    rig.scrape()
    for identifier in (f"{TASK}-requested", f"{TASK}-failed"):
        rig.store.delete(identifier)
    rig.compare_all()
    rig.scrape()
    assert is_up(rig)
    assert sum(totals(rig, Event.CREATED).values()) > 8
    assert not hits(shown(rig) + logs.text, *SECRETS, TASK)
    assert "CanaryPayerName" in shown(rig)
    files = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()}
    assert set(files) == {"ledger.db", "ledger.db-wal"}
    assert not hits("".join(files.values()), *SECRETS)
    assert hits("".join(files.values()), TASK, "CanaryPayerName")


def test_with_exemplars_the_ids_of_tasks_are_in_openmetrics_and_nothing_else_is(logs: Logs) -> None:
    rig = settled(quirks=[quirks.elements_ignored], exemplars=True)
    for resource in loaded():
        rig.store.put(resource)
    rig.scrape()
    published = rig.worker.published
    openmetrics, text = (
        TaskText().render(published.snapshot, form).decode() for form in (Format.OPENMETRICS, Format.TEXT)
    )
    assert hits(openmetrics, TASK)
    assert not hits(openmetrics, *SECRETS)
    backend = Backend(rig.worker, rig.probes, rig.telemetry, Thread(), PageOptions("fhir.example:80"))
    assert not hits(text + logs.text + repr(backend.landing()), *SECRETS, TASK)


def test_nothing_of_a_history_is_shown_or_logged(logs: Logs) -> None:
    rig = settled(quirks=[quirks.elements_ignored])
    for resource in loaded():
        rig.store.put(resource)
        rig.store.put(resource | {"description": f"{NOTE} again"})
    rig.scrape()
    assert any(url.partition("?")[0].endswith("/_history") for url in rig.transport.urls)
    assert not hits(shown(rig) + logs.text, *SECRETS, TASK)


def _body(text: str) -> Quirk:
    return quirks.always(Response(200, (("content-type", JSON),), text.encode()))


def _headers(status: int, **values: str) -> Quirk:
    named = tuple((name.replace("_", "-"), value) for name, value in values.items())
    return quirks.always(Response(status, named, outcome(DIAGNOSTICS)))


def _raises(error: Exception) -> Quirk:
    def quirk(_: fake.Answer) -> fake.Answer:
        def raised(_: object) -> Response:
            raise error

        return raised

    return quirk


def _next(url: str) -> Quirk:
    def linked(bundle: dict[str, Any], _: object) -> None:
        bundle["link"] = [{"relation": "next", "url": url}]

    return quirks.editing(linked)


FAILURES: dict[str, Quirk] = {
    **{f"outcome {status}": quirks.outcome_told(status, DIAGNOSTICS) for status in (200, 400, 403, 404, 410, 422, 500)},
    "401": _headers(401, www_authenticate=f'Bearer realm="{HEADER}", error="{TOKEN}"'),
    "429": _headers(429, retry_after=HEADER, x_patient=PATIENT),
    "503": _headers(503, retry_after=HEADER),
    "redirect": _headers(302, location=f"http://evil.example/{PATIENT}?token={TOKEN}"),
    "cookies": _headers(200, set_cookie=f"session={TOKEN}", content_type=JSON, server=HEADER),
    "content type": _headers(200, content_type=f"text/{HEADER}; charset={PATIENT}"),
    "content coding": _headers(200, content_type=JSON, content_encoding=HEADER),
    "cached": _headers(200, content_type=JSON, x_cache=f"HIT from {HEADER}"),
    "dates": _headers(200, content_type=JSON, date=HEADER, last_modified=HEADER),
    "1xx": _headers(199, x_patient=PATIENT),
    "999": _headers(999, x_patient=PATIENT),
    "login page": quirks.always(Response(200, (("content-type", "text/html"),), f"<p>{PATIENT} {TOKEN}".encode())),
    "no JSON": _body(f'{{"patient": "{PATIENT}", '),
    "a string": _body(json.dumps(PATIENT)),
    "another resource": _body(json.dumps({"resourceType": "Patient", "id": PATIENT, "name": [{"family": PATIENT}]})),
    "another type": _body(json.dumps({"resourceType": "Bundle", "type": PATIENT})),
    "wrong shapes": _body(
        json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": PATIENT, "link": PATIENT})
    ),
    "a typed type": _body(json.dumps({"resourceType": [PATIENT], "type": {PATIENT: PATIENT}})),
    "outcome inside": quirks.outcome_inside(DIAGNOSTICS),
    "bad UTF-8": quirks.always(Response(200, (("content-type", JSON),), b'{"' + PATIENT.encode() + b'":"\xff"}')),
    "link elsewhere": _next(f"http://evil.example/{PATIENT}?token={TOKEN}"),
    "link with a user": _next(f"http://{PERSON}:{PASSWORD}@fhir.example/fhir?x={PATIENT}"),
    "link that fails": _next(f"{fake.BASE}/{PATIENT}?_getpages={PATIENT}&token={TOKEN}"),
    "link with blanks": _next(f"{fake.BASE}?x={PATIENT} {NOTE}\r\n{HEADER}"),
    "cut": quirks.when(lambda _: True, quirks.cut),
    "connect": _raises(httpx.ConnectError(f"no route to {HEADER}")),
    "read time-out": _raises(httpx.ReadTimeout(f"{PATIENT}")),
    "protocol": _raises(httpx.RemoteProtocolError(f"illegal header line: {HEADER} {PATIENT}")),
    "an httpx error": _raises(httpx.DecodingError(PATIENT)),
    "an OS error": _raises(OSError(5, PATIENT)),
    "a bug": _raises(ValueError(f"could not read {PATIENT}")),
    "a bug within a bug": _raises(KeyError(PATIENT)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_reveals_what_the_server_sent(name: str, logs: Logs, tmp_path: Path) -> None:
    rig = settled(task(f"{TASK}-known"), path=str(tmp_path / "ledger.db"))
    rig.store.put(completed(f"{TASK}-new"))
    rig.play(FAILURES[name])
    rig.scrape()
    rig.run(5)
    rig.compare_all()
    assert "level=debug logger=exporter.fhir.request_log msg=request" in logs.text
    assert not hits(shown(rig) + logs.text, *SECRETS, TASK)
    assert not hits("".join(path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()), *SECRETS)
    assert errors(rig)


@pytest.mark.parametrize("name", FAILURES)
def test_no_error_holds_what_the_server_sent_nor_does_its_cause(name: str) -> None:
    rig = Rig().start()
    rig.store.put(task(f"{TASK}-known"))
    rig.play(FAILURES[name])
    error = first_error(rig)
    assert error is not None
    if isinstance(error, ValueError | KeyError):
        assert "bug" in name
    else:
        assert not hits(f"{error!r} {error} {vars(error)}", *SECRETS, TASK)
        if not isinstance(error.__cause__, httpx.TransportError | OSError | httpx.DecodingError):
            assert not hits("".join(traceback.format_exception(error)), *SECRETS, TASK)


def first_error(rig: Rig) -> Exception | None:
    """Read all pages; give the error that ends it."""
    try:
        with rig.context.server.window() as window:
            page = window.first(Search())
            while page.next is not None:
                page = window.follow(page.next)
    except (ServerError, ValueError, KeyError) as error:
        return error
    return None


def credentials(folder: Path, kind: str) -> dict[str, object]:
    """Options that name a secret."""
    file = folder / "secret"
    file.write_text(TOKEN if kind == "bearer" else PASSWORD)
    if kind == "bearer":
        return {"bearer_token_file": str(file)}
    return {"username": "somebody", "password_file": str(file)}


ECHOES: dict[str, Callable[[fake.Answer], fake.Answer]] = {
    "good": lambda answer: answer,
    "refused": _headers(401, www_authenticate=f"Bearer {TOKEN}"),
    "forbidden": quirks.outcome_told(403, f"token {TOKEN} password {PASSWORD}"),
    "down": quirks.down,
    "elsewhere": quirks.next_at("http://evil.example/fhir"),
}


@pytest.mark.parametrize("kind", ["bearer", "basic"])
@pytest.mark.parametrize("echo", ECHOES)
def test_credentials_are_sent_to_our_server_and_shown_to_nobody(
    tmp_path: Path, logs: Logs, kind: str, echo: str
) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), fhir=credentials(tmp_path, kind))
    for n in range(250):
        rig.store.put(task(f"{TASK}-{n}"))
    rig.play(ECHOES[echo])
    rig.start()
    rig.run(8)
    auth = rig.context.server.http.auth
    sent = [dict(request.headers).get("authorization", "") for request in rig.transport.requests]
    assert sent
    assert all(sent)
    assert all(url.startswith(fake.BASE) for url in rig.transport.urls)
    assert not hits(shown(rig) + logs.text + repr(auth) + repr(rig.context), *SECRETS, TASK)
    ledger = "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("ledger*"))
    assert not hits(ledger, *SECRETS)


@pytest.mark.parametrize("quirk", [quirks.lenient, quirks.down, lambda answer: answer])
def test_a_further_search_parameter_is_asked_with_and_shown_to_nobody(tmp_path: Path, logs: Logs, quirk: Quirk) -> None:
    selection = Selection(SELECTION.tag, SELECTION.code, (("patient", f"Patient/{PATIENT}"),))
    rig = Rig(path=str(tmp_path / "ledger.db"), selection=selection)
    rig.store.put(task(f"{TASK}-1"))
    rig.play(quirk)
    rig.start()
    rig.run(5)
    assert any(PATIENT in url for url in rig.transport.urls)
    assert not hits(shown(rig) + logs.text, *SECRETS, TASK)
    assert not hits("".join(path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()), *SECRETS)


SAMPLES = Path(__file__).parents[1] / "support" / "samples" / "hl7"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*-*.json") if "Task" not in path.name))
def test_an_official_example_in_place_of_an_answer_reveals_nothing(name: str, logs: Logs) -> None:
    """HL7's own warning Bundle holds a record number in its outcome and in its self link."""
    text = (SAMPLES / name).read_text()
    rig = Rig()
    rig.play(_body(text))
    rig.start()
    rig.run(3)
    words = set(_long_words(json.loads(text)))
    everything = shown(rig) + logs.text
    assert words
    assert {word for word in words if word in everything} == set()


def _long_words(value: object) -> Iterator[str]:
    """All texts of an example that could not be in a metric by chance."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _long_words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _long_words(each)
    elif isinstance(value, str) and len(value) > 15 and value != "OperationOutcome":
        yield value
