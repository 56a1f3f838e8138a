"""What the README and CONTRIBUTING ask people to type exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from exporter.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMAND = "fhir-task-exporter"
INSTALLED = f".venv/bin/{COMMAND}"


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command line in fenced `sh` blocks; continued lines are one; no comments, no `> FILE`."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if typed := words[: words.index(">")] if ">" in words else words:
                yield typed


def fault(words: list[str]) -> str | None:
    """Say what is wrong with a command line; None where each word of it exists."""
    programme, *arguments = words
    if programme == "make":
        unknown = [word for word in arguments if "=" not in word and word not in TARGETS]
        return f"the Makefile has no {', '.join(unknown)}" if unknown else None
    if programme == "sudo":
        return None if arguments[:2] == ["install", "-d"] else "only a folder is made as root"
    if programme in {COMMAND, INSTALLED}:
        return _exporter_fault(arguments)
    return f"this test knows no programme {programme}"


def _exporter_fault(arguments: list[str]) -> str | None:
    """Have click read them as it will for the person who types them; the command itself does not run."""
    context = click.Context(main, info_name=COMMAND)
    try:
        name, command, rest = main.resolve_command(context, arguments)
        assert command is not None
        command.make_context(name, rest, parent=context)
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("words", list(commands(README)), ids=" ".join)
def test_a_command_of_the_readme_can_be_typed(words: list[str]) -> None:
    assert fault(words) is None


def test_the_first_screen_of_the_readme_has_two_commands() -> None:
    first, second, *_ = commands(README)
    assert (first, second) == (["make", "demo"], ["make", "test"])
    assert README.splitlines().index("make test     # runs the tests") < 24


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_named_in_passing_exists_too(document: Path) -> None:
    text = document.read_text()
    options = {
        flag for command in main.commands.values() for parameter in command.params for flag in parameter.opts
    } | {"--help"}
    assert set(re.findall(r"`(--[a-z][a-z0-9.-]+)", text)) - options == set()
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) - TARGETS == set()


def test_files_that_contributors_are_sent_to_exist() -> None:
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert named
    assert [path for path in named if not any((start / path).exists() for start in (ROOT, ROOT / "exporter"))] == []


def test_contributors_are_told_of_every_module() -> None:
    tree = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1]
    parts = [path for path in (ROOT / "exporter").iterdir() if not path.name.startswith(("_", "."))]
    names = {f"{path.name}/" if path.is_dir() else path.name for path in parts}
    assert names - set(re.findall(r"[\w.]+/?", tree)) == set()


@pytest.mark.parametrize(
    "line",
    [
        "make breakfast",
        "fhir-task-exporter swerve",
        "fhir-task-exporter serve --fhir.ulr https://cdr.example.org/fhir",
        "fhir-task-exporter serve --fhir.url",
        "fhir-task-exporter rules --jib NAME",
        "fhir-task-exporter serve https://cdr.example.org/fhir",
        "curl http://127.0.0.1:9842/metrics",
    ],
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    assert fault(line.split()) is not None
