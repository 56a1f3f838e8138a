"""Where values come from: the flag, else the environment variable, else the file, else the default.

Every problem is reported at once, with its source. No value is ever repeated: it may be a secret in the wrong place.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..signing import KeyUnusable, read_key
from . import yaml_file
from .fields import VARIABLE_PREFIX, Option, build, options_of
from .files import read_limited, read_regular_file
from .options import (
    CONFIG_FILE,
    DEMO_OPTIONS,
    OPTIONS,
    DemoSettings,
    LedgerSettings,
    PollSettings,
    ReasonsSettings,
    Settings,
)
from .payers import Payers
from .tables import TABLES
from .values import MEMORY, ConfigProblem, InvalidValue, RawValue, is_loopback, is_path, path_from
from .web_config import read_web_config
from .yaml_file import YamlFile

MAX_BYTES = 4 * 1024 * 1024
"""Of the file: thousands of payers. Reading it takes 30 times as much memory, and a second for each 300 KB."""
MAX_KEY_BYTES = 64 * 1024
"""Of a private key: as many as are read of the file of any secret later."""

Flags = Mapping[str, Sequence[str]]
"""What was on the command line: texts by option name, in their order."""
T = TypeVar("T")


def load_settings(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Resolve every option, with the file that they may name; raises ConfigurationError with every problem."""
    return _resolve_or_fail(Settings, _with_file(flags, environment))


def reload_settings(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Resolve every option again. The file of `--web.config.file` is read by the web server, which reports on it."""
    return _resolve_or_fail(Settings, _with_file(flags, environment, again=True), check_web_file=False)


def load_once_settings(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Resolve the options of `once`, which writes no file unless it is told to."""
    return _resolve_or_fail(Settings, _with_file(flags, environment), {"ledger": MEMORY})


def load_ledger_settings(flags: Flags, environment: Mapping[str, str]) -> LedgerSettings:
    """Resolve the options of the commands that need the ledger alone."""
    return _resolve_or_fail(LedgerSettings, _with_file(flags, environment))


def load_demo_settings(flags: Flags, environment: Mapping[str, str]) -> DemoSettings:
    """Resolve the options of the demo, which reads no file; raises ConfigurationError with every problem."""
    return _resolve_or_fail(DemoSettings, _Sources(flags, environment))


def load_reasons_settings(flags: Flags, environment: Mapping[str, str]) -> ReasonsSettings:
    """Read the table of reasons; raises ConfigurationError with every problem that shows without parsing an option."""
    return _resolve_or_fail(ReasonsSettings, _with_file(flags, environment))


def names_file(flags: Flags, environment: Mapping[str, str]) -> bool:
    """Whether there is a configuration file to read."""
    return _Sources(flags, environment).find(CONFIG_FILE) is not None


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that have our prefix but no option; Kubernetes sets `…_PORT` for a Service of our name."""
    known = {option.variable for option in (CONFIG_FILE, *OPTIONS, *DEMO_OPTIONS)}
    return tuple(sorted(name for name in environment if name.startswith(VARIABLE_PREFIX) and name not in known))


@dataclass(frozen=True, slots=True)
class _Sources:
    flags: Flags
    environment: Mapping[str, str]
    file: YamlFile = field(default_factory=YamlFile)

    def find(self, option: Option) -> RawValue | None:
        """Return what the first source with the option gives. An empty variable counts only if empty is a value."""
        if self.flags.get(option.name):
            return RawValue(option.flag, tuple(self.flags[option.name]))
        text = self.environment.get(option.variable)
        if text is not None and (text.strip() or option.empty_is_value):
            return RawValue(option.variable, tuple(text.split("&")) if option.repeatable else (text,))
        return self.file.options.get(option.name)


def _with_file(flags: Flags, environment: Mapping[str, str], *, again: bool = False) -> _Sources:
    path = _Sources(flags, environment).find(CONFIG_FILE)
    return _Sources(flags, environment, YamlFile() if path is None else _read_file(path, again=again))


def _read_file(path: RawValue, *, again: bool) -> YamlFile:
    """Read the file. At the start it may be a pipe; a second time that would be empty, or wait for a writer."""
    read = read_regular_file if again else read_limited
    try:
        name = Path(str(_parse(CONFIG_FILE, path.texts[-1])))
        text = read(name, MAX_BYTES).decode("utf-8-sig")
    except InvalidValue as invalid:
        return YamlFile(problems=(ConfigProblem(path.source, str(invalid)),), is_complete=False)
    except UnicodeDecodeError:
        problem = ConfigProblem(path.source, "file is not UTF-8 text")
        return YamlFile(problems=(problem,), is_complete=False)
    return _from_folder(yaml_file.read(text, OPTIONS, TABLES), name.parent)


def _from_folder(file: YamlFile, folder: Path) -> YamlFile:
    """Let the relative paths in a file start at its folder."""
    paths = {option.name for option in OPTIONS if is_path(option.parse)}
    options = {
        name: raw._replace(texts=tuple(path_from(folder, text) for text in raw.texts)) if name in paths else raw
        for name, raw in file.options.items()
    }
    return replace(file, options=options)


def _resolve_or_fail(
    settings_class: type[T],
    sources: _Sources,
    defaults: Mapping[str, object] | None = None,
    *,
    check_web_file: bool = True,
) -> T:
    """Build the settings. `defaults` are for options that have another default than their row says."""
    problems = list(sources.file.problems)
    values: dict[str, object] = dict(defaults or {})
    given: dict[str, str] = {}
    for option in options_of(settings_class):
        raw = sources.find(option)
        if raw is not None:
            given[option.name] = raw.source
            if parsed := _parse_texts(option, raw, problems):
                values[option.name] = parsed if option.repeatable else parsed[0]
        elif option.required and sources.file.is_complete:
            problems.append(ConfigProblem(option.flag, f"is required (or {option.variable}, or the file)"))
    if check_web_file and isinstance(web_file := values.get("web.config.file"), str):
        problems += read_web_config(Path(web_file)).problems
    problems += [ConfigProblem(given.get(name, f"--{name}"), said) for name, said in _conflicts(values, given.keys())]
    if problems:
        raise ConfigurationError(tuple(dict.fromkeys(str(problem) for problem in problems)))
    return build(settings_class, values | _fields(sources.file.tables))


def _fields(tables: Mapping[str, object]) -> dict[str, object]:
    """Return the tables by the fields of Settings that they fill."""
    found = dict(tables)
    payers = found.pop("payers", None)
    if isinstance(payers, Payers):
        found |= {"payers": payers.table, "payer_deadlines": payers.deadlines}
    return found


def _parse_texts(option: Option, raw: RawValue, problems: list[ConfigProblem]) -> tuple[object, ...]:
    """Parse the texts of a source and add its problems. The last text counts, unless the option is repeatable."""
    parsed = []
    for text in raw.texts if option.repeatable else raw.texts[-1:]:
        try:
            parsed.append(_parse(option, text))
        except InvalidValue as invalid:
            problems.append(ConfigProblem(raw.source, str(invalid)))
    return tuple(parsed)


def _parse(option: Option, text: str) -> object:
    if not text.strip() and not option.empty_is_value:
        raise InvalidValue("must not be empty")
    return option.parse(text.strip())


# What must hold between options. Each check yields the name of the option to change, and a sentence.
# `values` lacks defaults and what could not be parsed; `given` has the name of every option that a source gave.

_Conflicts = Iterator[tuple[str, str]]
_CLIENT_ID = "fhir.oauth2.client-id"
_CLIENT_SECRET = "fhir.oauth2.client-secret-file"  # noqa: S105 - the name of an option
_PRIVATE_KEY = "fhir.oauth2.private-key-file"
_ONE_OF = (("fhir.bearer-token-file", "fhir.username", _CLIENT_ID), (_CLIENT_SECRET, _PRIVATE_KEY))
"""Ways to authenticate, and for the last of them, ways to show which client it is."""
_REQUIRES = (
    ("fhir.username", "fhir.password-file"),
    ("fhir.password-file", "fhir.username"),
    *((f"fhir.oauth2.{name}", _CLIENT_ID) for name in ("token-url", "client-secret-file", "private-key-file", "scope")),
    *((f"fhir.oauth2.{name}", _PRIVATE_KEY) for name in ("key-id", "audience", "jwt-type")),
    ("fhir.oauth2.auth-method", _CLIENT_SECRET),
    ("fhir.client-key-file", "fhir.client-cert-file"),
    ("batch-jobs.url", "batch-jobs.module"),
    ("batch-jobs.module", "batch-jobs.url"),
    ("batch-jobs.username", "batch-jobs.url"),
    ("batch-jobs.username", "batch-jobs.password-file"),
    ("batch-jobs.password-file", "batch-jobs.username"),
)
_CREDENTIALS = {option.name for option in OPTIONS if option.credential}
_SENT_TO = {"fhir.url": "fhir.", "fhir.oauth2.token-url": "fhir.oauth2.", "batch-jobs.url": "batch-jobs."}
"""Options with a URL, and how the options begin whose credentials are sent there."""


def _conflicts(values: Mapping[str, object], given: AbstractSet[str]) -> _Conflicts:
    for name, needed in _REQUIRES:
        if name in given and needed not in given:
            yield name, f"requires --{needed}"
    for one, other in (pair for names in _ONE_OF for pair in combinations(names, 2)):
        if {one, other} <= given:
            yield one, f"cannot be combined with --{other}; choose one way to authenticate"
    if _CLIENT_ID in given and not {_CLIENT_SECRET, _PRIVATE_KEY} & given:
        yield _CLIENT_ID, f"requires --{_CLIENT_SECRET} or --{_PRIVATE_KEY}"
    yield from _private_key(values)
    yield from _plain_http(values, given)
    yield from _staleness(values, given)


def _plain_http(values: Mapping[str, object], given: AbstractSet[str]) -> _Conflicts:
    """RFC 6750 section 5.3: a bearer token is sent over TLS only; a password is no different."""
    for option, begin in _SENT_TO.items():
        url = values.get(option)
        sent = any(name.startswith(begin) for name in _CREDENTIALS & given)
        if not isinstance(url, str) or not sent or values.get("fhir.allow-plain-http"):
            continue
        if urlsplit(url).scheme == "http" and not is_loopback(url):
            yield option, "would send credentials unencrypted; use https or set --fhir.allow-plain-http"


def _private_key(values: Mapping[str, object]) -> _Conflicts:
    """Read the key as it will be read for the first token, unless it is no regular file, which gives its text once."""
    path, key_id = values.get(_PRIVATE_KEY), values.get("fhir.oauth2.key-id")
    if not isinstance(path, str) or not Path(path).is_file():
        return
    try:
        text = read_regular_file(Path(path), MAX_KEY_BYTES).decode("utf-8-sig")
        read_key(text, key_id if isinstance(key_id, str) else None)
    except (KeyUnusable, InvalidValue) as unusable:
        yield _PRIVATE_KEY, str(unusable)
    except UnicodeDecodeError:
        yield _PRIVATE_KEY, "file is not UTF-8 text; a PEM file or a JWK is needed"


def _staleness(values: Mapping[str, object], given: AbstractSet[str]) -> _Conflicts:
    """Keep a result from expiring before the next poll is allowed: gauges would come and go."""
    longest, shortest = "poll.max-staleness", "poll.min-interval"
    if any(name in given and name not in values for name in (longest, shortest)):
        return
    default = PollSettings()
    staleness = values.get(longest, default.max_staleness)
    interval = values.get(shortest, default.min_interval)
    if not isinstance(staleness, float) or not isinstance(interval, float) or staleness >= interval:
        return
    if longest in given:
        yield longest, f"must be at least --{shortest}"
    else:
        yield shortest, f"must be at most --{longest}"
