"""Where the values come from: flag before environment before file before default, and every fault at once.

Nothing that was given is ever repeated in a fault: a secret may stand where it does not belong.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import ConfigurationError
from . import checks, file, parsers
from .fault import Fault, Given
from .file import Document
from .option import VARIABLE_PREFIX, Option, build, options_of
from .settings import DEMO_OPTIONS, OPTIONS, DemoSettings, Settings
from .tables import TABLES

CONFIG_FILE = Option(
    name="config.file",
    parse=parsers.readable_file,
    default=None,
    help="YAML file with any of these options, names of payers and reasons of failures.",
    metavar="FILE",
)

Flags = Mapping[str, Sequence[str]]
"""What stood on the command line: texts by option name, in their order."""
T = TypeVar("T")


def load(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Read the file that flags or environment name, and gather; raises ConfigurationError with every fault."""
    given = _given(CONFIG_FILE, flags, environment, Document())
    return _gather(flags, environment, Document() if given is None else _opened(given), Settings)


def gather(flags: Flags, environment: Mapping[str, str], yaml: str = "") -> Settings:
    """Make Settings of what the three sources give; raises ConfigurationError with every fault."""
    return _gather(flags, environment, _document(yaml), Settings)


def gather_demo(flags: Flags, environment: Mapping[str, str]) -> DemoSettings:
    """Make DemoSettings of flags and environment; what concerns a real server is left aside."""
    return _gather(flags, environment, Document(), DemoSettings)


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the variables that look like ours and are not: Kubernetes makes `…_PORT` for a Service of our name."""
    known = {option.variable for option in (CONFIG_FILE, *OPTIONS, *DEMO_OPTIONS)}
    return tuple(sorted(name for name in environment if name.startswith(VARIABLE_PREFIX) and name not in known))


def _opened(given: Given) -> Document:
    """Read the file that a source names."""
    try:
        path = str(_parsed(CONFIG_FILE, given.texts[-1].strip()))
        return _document(Path(path).read_text("utf-8-sig"))
    except parsers.Refused as refused:
        return Document(faults=(Fault(given.source, str(refused)),), whole=False)
    except (OSError, UnicodeDecodeError):
        return Document(faults=(Fault(given.source, "names a file that is not text in UTF-8"),), whole=False)


def _document(yaml: str) -> Document:
    return file.read(yaml, {option.name: option.repeatable for option in OPTIONS}, TABLES)


def _gather(flags: Flags, environment: Mapping[str, str], document: Document, kind: type[T]) -> T:
    options = options_of(kind)
    givens = {option.name: _given(option, flags, environment, document) for option in options}
    sources = {name: given.source for name, given in givens.items() if given is not None}
    values: dict[str, object] = {}
    faults = list(document.faults)
    for option in options:
        faults += _settle(option, givens[option.name], values, document)
    for name, sentence in checks.across(values, sources.keys()):
        faults.append(Fault(sources.get(name, f"--{name}"), sentence))
    if faults:
        raise ConfigurationError(tuple(dict.fromkeys(str(fault) for fault in faults)))
    return build(kind, values | dict(document.tables))


def _given(option: Option, flags: Flags, environment: Mapping[str, str], document: Document) -> Given | None:
    """Find the first source that gives an option. An empty variable gives nothing, unless empty is a value."""
    if flags.get(option.name):
        return Given(option.flag, tuple(flags[option.name]))
    variable = environment.get(option.variable)
    if variable is not None and (variable.strip() or option.empty):
        return Given(option.variable, tuple(variable.split("&")) if option.repeatable else (variable,))
    return document.options.get(option.name)


def _settle(option: Option, given: Given | None, values: dict[str, object], document: Document) -> Iterator[Fault]:
    """Put the value of an option among the others, or tell its faults; a default is left to the Settings class."""
    if given is None:
        if option.required and document.whole:
            yield Fault(option.flag, f"is required (or {option.variable}, or the file)")
        return
    read = []
    for text in given.texts if option.repeatable else given.texts[-1:]:
        try:
            read.append(_parsed(option, text.strip()))
        except parsers.Refused as refused:
            yield Fault(given.source, str(refused))
    if read:
        values[option.name] = tuple(read) if option.repeatable else read[0]


def _parsed(option: Option, text: str) -> object:
    if not text and not option.empty:
        raise parsers.Refused("must not be empty")
    return option.parse(text)
