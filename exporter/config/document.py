"""docs/configuration.md as a function of the table of options, so that it cannot say anything else than the code."""

from collections.abc import Iterable

from .gather import CONFIG_FILE
from .option import Option
from .settings import DEMO_OPTIONS, OPTIONS

INTRODUCTION = """\
# Configuration

This page is written by the code (`python -m exporter.docs`) from the options' own table; a test holds the two equal.

One option is required: `--fhir.url`. Every option of `serve`, `check` and `once` can be given in three places. The
first that gives it wins, and what none gives has its default:

1. on the command line: `--fhir.page-size 500`
2. in the environment: `FHIR_TASK_EXPORTER_FHIR_PAGE_SIZE=500`, dots and hyphens written as `_`
3. in the YAML file of `--config.file`: `fhir: {page-size: 500}`, nested at the dots

Options of `demo` can be given in the first two. Those of `rules` stand on the command line alone; its `--help` explains
them.

`fhir-task-exporter check` tries a configuration without starting anything. A wrong one ends every command with exit
code 2 and a list of all faults, each with its flag, variable or line of the file, and never with the value itself; an
option that does not exist is one of them.

* **Durations** are written as Prometheus writes them: `500ms`, `30s`, `5m`, `1h30m`, `1d`.
* **Switches** are on by their name, `--fhir.rewrite-links`, and off by `--no-fhir.rewrite-links`; in variables and file
  they are `true` or `false`.
* **Repeatable options** are repeated on the command line, joined by `&` in the environment, and a list in the file.
  They are not added up: the first place that gives one gives all of it.
* **An empty variable** counts as unset, but for `--fhir.tag` and `--fhir.code`, which empty text switches off.
* **Variables with our prefix** that are no option are named in a warning. Kubernetes makes some for a Service called
  `fhir-task-exporter`; `enableServiceLinks: false` stops that.
* **Secrets** are read from files only, never from an option's value, and again when the file changes.
"""

FILE = """\
## The file

Besides options it holds two tables.

`payers` names payers by what stands in `Task.owner` and `Task.requester`: a reference (`Organization/123`, or an
absolute URL) or an identifier (`system|value`, or the value alone). A name has at most 80 characters; each name,
reference and identifier stands once.

`reasons` turns the notes of failed Tasks into words. Patterns are Python's regular expressions, searched without regard
to case; the first that is found wins, and the exporter's own come after yours. A word has small letters, digits and
`_`.

Keys that the exporter does not know are faults.

```yaml
"""

EXAMPLE = """\
fhir:
  url: https://cdr.example.org/fhir
  bearer-token-file: token
  search:
    - _source=http://example.org/gateway
poll:
  overlap: 1m
deadline: 36h
log:
  format: json
payers:
  - name: Northwind Health
    references: [Organization/northwind, https://directory.example.org/fhir/Organization/4711]
  - name: Contoso Mutual
    identifiers: ["http://hl7.org/fhir/sid/us-npi|1234567893"]
reasons:
  - reason: consent_revoked
    pattern: consent .* (revoked|withdrawn)
  - reason: auth
    pattern: invalid_client|certificate expired
"""

EXIT_CODES = """\
```

## Exit codes

| code | meaning |
|---|---|
| 0 | all is well |
| 1 | it ran and found trouble: the message says which, and what to do next |
| 2 | wrong usage or configuration |
"""


def configuration_markdown() -> str:
    """Write the whole page."""
    options = _table((CONFIG_FILE, *OPTIONS))
    own = _table(option for option in DEMO_OPTIONS if option not in OPTIONS)
    demo = f"## Options of `demo`\n\nBesides those of `--web` and `--log`:\n\n{own}"
    return f"{INTRODUCTION}\n## Options\n\n{options}\n{demo}\n{FILE}{EXAMPLE}{EXIT_CODES}"


def _table(options: Iterable[Option]) -> str:
    return "| option | default | meaning |\n|---|---|---|\n" + "".join(map(_row, options))


def _row(option: Option) -> str:
    flag = option.flag if option.switch else f"{option.flag} {option.metavar}"
    told = option.help + (" May be repeated." if option.repeatable else "")
    return f"| `{_cell(flag)}` | {_default(option)} | {told}<br>`{option.variable}` |\n"


def _default(option: Option) -> str:
    if option.required:
        return "**required**"
    if option.switch:
        return "off"
    return f"`{_cell(option.default)}`" if option.default else "none"


def _cell(text: str) -> str:
    """Keep a bar from ending the cell; GitHub's tables want it escaped even in code."""
    return text.replace("|", "\\|")
