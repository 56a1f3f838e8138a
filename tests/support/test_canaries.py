"""The search for canaries finds one wherever and however it is planted."""

import base64
import json

import pytest

from . import loaded
from .canaries import MARK, all_canaries, canary, forms, hits, hits_in

PLANTED = canary("planted")


@pytest.mark.parametrize("form", forms(PLANTED))
def test_a_planted_canary_is_found_in_each_form_and_named_with_its_place(form: str) -> None:
    for text in (forms(PLANTED)[form], forms(PLANTED)[form].upper()):
        found = hits_in([("clean", "nothing"), ("log", f"level=debug msg={text} x")])
        assert f"log: {PLANTED} ({form})" in found
        assert all(each.startswith("log: ") for each in found)


def test_a_planted_canary_is_found_within_other_bytes_in_base64() -> None:
    for before in (b"", b"u", b"us", b"user:"):
        assert hits_in([("header", base64.b64encode(before + PLANTED.encode() + b"!").decode())])


def test_what_is_secret_and_no_canary_is_found_when_it_is_named() -> None:
    assert hits_in([("log", "x MIIEvQ y")], "MIIEvQ") == ["log: MIIEvQ (raw)"]
    assert hits_in([("log", "x MIIEvQ y")]) == []


def test_each_place_has_a_canary_of_its_own_and_all_bear_the_mark() -> None:
    assert len({canary(f"Task.{name}") for name in ("note", "note.text", "notetext")}) == 3
    assert canary("Task.note") == canary("Task.note")
    assert all(each.startswith(MARK) for each in all_canaries())


FIELDS = {
    "Task": loaded.task("t", "failed", "2026-11-20T12:00:00Z"),
    "Organization": loaded.organization("o", "Old Payer"),
    "OperationOutcome": loaded.outcome(),
    "token": loaded.token_answer() | loaded.token_refusal(),
    "manifest": loaded.manifest(),
}


@pytest.mark.parametrize(
    ("name", "fewest"), [("Task", 100), ("Organization", 25), ("OperationOutcome", 10), ("token", 8), ("manifest", 6)]
)
def test_each_resource_is_full_of_canaries(name: str, fewest: int) -> None:
    text = json.dumps(FIELDS[name])
    assert len({each for each in all_canaries() if each != MARK and hits(text, each)}) >= fewest
