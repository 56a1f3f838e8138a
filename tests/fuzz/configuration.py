r"""Target: texts of an operator, on the command line, in the environment and in a file, to Settings or to problems.

An input is `name=value` lines, those of the environment with a `$` before them; then `---` and the YAML file.
"""

import shutil
import tempfile
from atexit import register
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from exporter.config import (
    OPTIONS,
    Flags,
    Settings,
    load_demo_settings,
    load_ledger_settings,
    load_reasons_settings,
    load_settings,
    make_calendar,
    unknown_variables,
)
from exporter.errors import ConfigurationError
from exporter.task.labels import clean
from exporter.task.payer_table import matching

from .rules import caught, demand, demand_silence

_OTHERS = (load_ledger_settings, load_reasons_settings, load_demo_settings)
_HOSTILE_TEXTS = ("a" * 48, "a" * 48 + "!", "ab" * 24 + "!", "urn:oid:" + "1." * 20 + "!", "/" * 48 + "\n")
"""What keeps a pattern of two nested repeats busy past the time limit; a good one is done at once."""
_LONGEST_DURATION = 10**13
"""Seconds: 999,999,999 of everything is less."""


def check(data: bytes) -> None:
    """Load the settings as `serve` does, and as one other command."""
    flags, environment, text = split(data)
    file = _write(text)
    values = (*(each for texts in flags.values() for each in texts), *environment.values(), *_scalars(text))
    for load in (load_settings, _OTHERS[len(data) % len(_OTHERS)]):
        found: list[object] = []
        named = flags if text is None else {**flags, "config.file": (str(file),)}
        error = caught(lambda: found.append(load(named, environment)), ConfigurationError)  # noqa: B023 - called at once
        if error is not None:
            demand(str(error), "a refused configuration has a problem to show")
            demand_silence(error, (value for value in values if value not in str(file)))
        for settings in found:
            if isinstance(settings, Settings):
                _check_settings(settings)
    unknown_variables(environment)


def split(data: bytes) -> tuple[Flags, Mapping[str, str], bytes | None]:
    """Take an input apart: flags, variables, and the file, if there is one."""
    head, bar, text = data.partition(b"---\n")
    flags: dict[str, tuple[str, ...]] = {}
    environment: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").split("\n"):
        name, equals, value = line.partition("=")
        if equals and name.startswith("$"):
            environment[name[1:]] = value.replace("\0", "")
        elif equals:
            flags[name] = (*flags.get(name, ()), value)
    return flags, environment, text if bar else None


def _check_settings(settings: Settings) -> None:
    for number in (settings.poll.min_interval, settings.poll.timeout, settings.hold, settings.fhir.timeout):
        demand(0 <= number < _LONGEST_DURATION, "a duration is a number of seconds that counts")
    demand(settings.fhir.url.startswith(("http://", "https://")), "the address of a server is one")
    demand("@" not in settings.fhir.url.partition("://")[2].partition("/")[0], "an address names no user")
    demand(settings.pairs_max >= 1, "there is room for pairs")
    table = settings.payers
    demand(all(label == clean(label) and label.isprintable() for label in table.labels), "a payer's name is a label")
    demand(not table.labels & table.shown_as.keys(), "a name that is shown as another one is no label")
    for patterns in (table.references, table.identifiers):
        matching(patterns, _HOSTILE_TEXTS)
    demand(len(make_calendar(settings.timezone, None, settings.closed_days).__class__.__name__), "there is a calendar")


def _scalars(text: bytes | None) -> Iterator[str]:
    """Every value of the file; keys are shown to the operator, so that a misspelled one is found."""
    if text is None:
        return
    try:
        keys, values = nodes(text)
    except Exception:  # noqa: BLE001 - whatever it is, our own code has to handle it, and is called next
        yield from text.decode("utf-8", "replace").split("\n")
        return
    shown = "\n".join(keys)
    yield from (value for value in values if value.strip() not in shown)


def nodes(text: bytes) -> tuple[set[str], list[str]]:
    """Return the keys and the values of a YAML text; raises whatever the library does."""
    waiting, seen = [yaml.compose(text.decode("utf-8-sig"), Loader=yaml.SafeLoader)], set[int]()
    keys: set[str] = set()
    values: list[str] = []
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys |= {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        else:
            values.append(node.value)
    return keys, values


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _write(text: bytes | None) -> Path:
    file = _folder() / "f"
    file.write_bytes(text or b"")
    return file


def dictionary() -> Iterator[str]:
    """Words that the mutator puts in: names of options, marks of YAML, kinds of values."""
    yield from (option.name for option in OPTIONS)
    yield from (f"{option.name.rpartition('.')[2]}: " for option in OPTIONS)
    yield from (f"${option.variable}=" for option in OPTIONS)
    yield from (
        "---\n",
        "\n  ",
        "- ",
        "&a ",
        "*a",
        "!!binary ",
        "<<: ",
        "? ",
        "|\n",
        '"\\u',
        '"\\ud800"',
        "\\U0010",
        "%YAML ",
    )
    yield from (
        "payers:\n- name: ",
        "references: [",
        "identifiers: [",
        "reference_patterns: [",
        "identifier_patterns: [",
    )
    yield from ("parent: ", "formerly: [", "deadline: ", "reasons:\n- reason: ", "pattern: ", "closed_days: [", "12-24")
    yield from ("1bd", "1h30m", "500ms", "https://a/fhir", "[::1]:9842", ":memory:", "America/New_York", "system|code")
    yield from ("(a+)+", "(a|b)*", "{1,3}", "(?:", "(?P<n>", "(?i)", "[^]]", "\\w")


def seeds() -> Iterator[bytes]:
    """Every option in each of its places, and the tables."""
    yield b"fhir.url=https://a.example/fhir\n"
    yield b"fhir.url=https://a.example/fhir\nfhir.search=owner=1\nfhir.search=status=failed\nlog.level=debug\n"
    for option in OPTIONS:
        text = option.default or "1"
        yield f"fhir.url=https://a/fhir\n{option.name}={text}\n".encode()
        yield f"$FHIR_TASK_EXPORTER_FHIR_URL=https://a/fhir\n${option.variable}={text}\n".encode()
        group, dot, last = option.name.rpartition(".")
        nested = f"{group}:\n  {last}: '{text}'\n" if dot else f"{last}: '{text}'\n"
        yield f"---\n{nested}".encode()
    yield _TABLES.encode()
    yield b'---\nfhir.url: "https://a/fhir'
    yield b"---\nfhir: {url: https://a/fhir, search: [a=b, c=d]}\nreasons: [{reason: own, pattern: 'x|y'}]\n"
    yield b"fhir.url=https://a/fhir\n---\nclosed_days: [12-24, 2026-11-27]\nholidays: US-NY\ndeadline: 1bd\n"


_TABLES = r"""fhir.url=https://a/fhir
---
payers:
  - name: Old Payer
    references: [Organization/1, "urn:uuid:1"]
    identifiers: ["http://hl7.org/fhir/sid/us-npi|1", "2"]
    reference_patterns: ['Organization/old-.*']
    identifier_patterns: ['[^|]*\|9[0-9]{9}']
    formerly: [Older Payer]
    deadline: 2bd
  - {name: Two  Blanks, references: ["https://b/fhir/Organization/1"]}
  - {name: Child, parent: Old Payer, references: [Organization/2]}
"""
