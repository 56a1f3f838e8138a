"""The rows of the options, and the Settings that they make."""

import re
from dataclasses import fields, is_dataclass

import pytest

from exporter.config import CONFIG_FILE, DEMO_OPTIONS, OPTIONS, FhirSettings, Settings
from exporter.task.model import Coding, Selection

from ...support.configuration import URL, load_with_file, settings


def test_only_the_url_is_required_and_the_defaults_are_those_of_the_contract() -> None:
    found = load_with_file({"fhir.url": [URL]}, {})
    assert found == Settings(fhir=FhirSettings(url=URL))
    assert found.fhir.selection == Selection(
        Coding("http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "CDR_MANAGED"),
        Coding("http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "data-request"),
    )
    assert (found.fhir.page_size, found.fhir.timeout) == (200, 10)
    assert (found.poll.min_interval, found.poll.max_staleness, found.poll.overlap, found.poll.timeout) == (
        *(5, 300, 30, 60),
    )
    assert (found.reconcile.open_interval, found.reconcile.lookback, found.reconcile.full_interval) == (300, 900, 3600)
    assert (found.hold, found.deadline.seconds, found.stalled_after, found.pairs_max) == (120, 86400, 14400, 100)
    assert found.probe_path == "$export-poll-status"
    assert (found.history, found.exemplars) == (True, False)
    assert (found.web.host, found.web.port, found.web.scrape_timeout_offset) == ("127.0.0.1", 9842, 1)
    assert (found.ledger, found.log.level, found.log.format) == ("fhir-task-exporter.db", "info", "logfmt")


def test_no_two_options_share_a_flag_or_variable() -> None:
    options = (CONFIG_FILE, *OPTIONS, *(option for option in DEMO_OPTIONS if option not in OPTIONS))
    for names in ([each.flag for each in options], [each.variable for each in options]):
        assert len(set(names)) == len(names)


def test_every_option_has_a_sentence_of_help() -> None:
    for option in (CONFIG_FILE, *OPTIONS, *DEMO_OPTIONS):
        assert option.help.endswith("."), option.name
        assert re.fullmatch(r"[a-z]+([.-][a-z0-9]+)*", option.name)


def test_settings_and_their_groups_are_frozen() -> None:
    found = settings("payers: [{name: A, references: [Organization/1]}]")
    assert not hasattr(found.payers.keys, "__setitem__")
    for value in (found, *(getattr(found, each.name) for each in fields(found))):
        if is_dataclass(value):
            with pytest.raises(AttributeError):
                setattr(value, fields(value)[0].name, None)
