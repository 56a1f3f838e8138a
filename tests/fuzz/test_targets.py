"""What earlier runs found stays mended, and a target fails where a rule is broken."""

import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from exporter import signing
from exporter.config import load, values, web_file, yaml_file
from exporter.config import payers as tables
from exporter.errors import NotFhir
from exporter.fhir import export_target, http_status, links
from exporter.oauth2 import answer, domain
from exporter.task import bundle, lifecycle, payers
from exporter.web import messages

from . import __main__ as command
from .corpus import HERE, MOST_BYTES, TARGETS, found, keep, kept
from .rules import BrokenRuleError

FOUND = [(target, name) for target in TARGETS for name, _ in found(target)]


def check(target: str) -> Callable[[bytes], None]:
    return import_module(f"tests.fuzz.{target}").check  # type: ignore[no-any-return]


def every_input(target: str) -> tuple[bytes, ...]:
    return (*import_module(f"tests.fuzz.{target}").seeds(), *kept(target))


def run(target: str) -> None:
    for data in every_input(target):
        check(target)(data)


@pytest.mark.parametrize(("target", "name"), FOUND)
def test_what_was_found_stays_mended(target: str, name: str) -> None:
    check(target)((HERE / "found" / target / name).read_bytes())


@pytest.mark.filterwarnings("ignore")  # re warns about patterns of operators
@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_breaks_no_rule(target: str) -> None:
    assert len(every_input(target)) > 15
    run(target)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_small(target: str) -> None:
    assert (HERE / "corpus" / f"{target}.txt").stat().st_size <= MOST_BYTES


def test_a_corpus_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.corpus.HERE", tmp_path)
    (tmp_path / "corpus").mkdir()
    inputs = {b"", b"\\n\n\r\x00\xff\x85", "ü\u2028".encode()}
    assert keep("reader", inputs) == len(inputs)
    assert set(kept("reader")) == inputs


# That each target can fail: one planted bug for each kind of rule.


def _raise(error: Exception) -> Callable[..., None]:
    def planted(*_: object, **__: object) -> None:
        raise error

    return planted


def _repeats_the_body(body: bytes, _decoder: object) -> None:
    raise NotFhir(f"The response is not JSON: {body[:200]!r}")


def _repeats_the_text(option: object, text: str) -> object:
    raise values.InvalidValue(f"{text} is no value")


class Planted(NamedTuple):
    """`broken` is the rule, or the exception that escapes."""

    target: str
    module: ModuleType
    name: str
    bug: object
    broken: str | type[Exception]


PLANTED = (
    Planted("reader", bundle, "_is_json", _raise(KeyError("x")), KeyError),
    Planted("reader", bundle, "_decode", _repeats_the_body, "repeats a value"),
    Planted("reader", payers, "visible", lambda text: text, "a label is clean"),
    Planted("reader", payers, "PEOPLE", frozenset[str](), "shown as their type"),
    Planted("reader", lifecycle, "_duration_seconds", lambda _task: float("inf"), "finite"),
    Planted("reader", lifecycle, "_duration_seconds", lambda _task: -1.0, "between nothing and ten years"),
    Planted("configuration", yaml_file, "_malformed", _raise(ValueError("x")), ValueError),
    Planted("configuration", load, "_parse", _repeats_the_text, "repeats a value"),
    Planted("configuration", values, "_UNIT_SECONDS", (float("inf"),) * 7, "seconds that counts"),
    Planted("configuration", tables, "clean", lambda text: text, "is a label"),
    Planted("web_file", web_file, "_BCRYPT", re.compile(".*"), ValueError),
    Planted("web_file", web_file, "_PRINTABLE_ASCII", re.compile(".*"), "printable ASCII"),
    Planted("web_file", web_file, "_UNITS", dict.fromkeys(web_file._UNITS, float("inf")), "an interval is a time"),
    Planted("tokens", answer, "LONGEST_SECONDS", 1e12, "lives for a while"),
    Planted("tokens", answer, "VISIBLE", re.compile(".*"), "fits into a header"),
    Planted("tokens", answer, "_LEAST_SECONDS", 1e4, "before its end"),
    Planted("tokens", domain, "_same_domain", lambda *_: True, "credentials stay in the domain"),
    Planted("tokens", signing, "_from_jwk", _raise(KeyError("x")), KeyError),
    Planted("requests", links, "_TAIL", re.compile(".*"), "a path"),
    Planted("requests", links, "_below", lambda *_: True, "below the base"),
    Planted("requests", export_target, "_BARE", re.compile("[^/]*"), "one job"),
    Planted("requests", http_status, "LONGEST_WAIT", 1e9, "a wait is bounded"),
    Planted("requests", http_status, "parsedate_to_datetime", _raise(AttributeError("x")), AttributeError),
    Planted("requests", messages, "_positive_number", float, ValueError),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.target} {planted.name}")
def test_a_planted_bug_is_found_with_the_corpus_alone(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planted.module, planted.name, planted.bug)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one it must be is judged below
        run(planted.target)
    if isinstance(planted.broken, str):
        assert isinstance(raised.value, BrokenRuleError)
        assert planted.broken in str(raised.value)
    else:
        assert isinstance(raised.value, planted.broken)


# The run itself


@pytest.mark.skipif(find_spec("atheris") is None, reason=command.UNAVAILABLE)
def test_a_finding_is_reported_with_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    report = command.start("planted", ["-max_total_time=100"]).report()
    assert "FAILED" in report
    written = re.search(r"--input planted (\S+)", report)
    assert written is not None
    with pytest.raises(BrokenRuleError):
        check("planted")(Path(written[1]).read_bytes())


def test_a_machine_without_atheris_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    monkeypatch.delenv("CI", raising=False)
    assert command.main([]) == 0
    assert "Linux on x86-64" in capsys.readouterr().out
    monkeypatch.setenv("CI", "true")
    assert command.main([]) == 1
