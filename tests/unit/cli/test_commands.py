"""The command line says what is wrong, repeats no value, and exits with the code of docs/design.md#exit-codes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from exporter import bundle, cli, documents
from exporter.cli import command, options
from exporter.config import CONFIG_FILE, DEMO_OPTIONS, ONCE_OPTIONS, OPTIONS, Option, group_of
from exporter.config.groups import GROUPS
from exporter.errors import ConfigurationError, Unreachable

CANARY = "hunter2canary"
COMMANDS = {"serve": OPTIONS, "check": OPTIONS, "once": ONCE_OPTIONS}
HEAVY = ("httpx", "hypercorn", "sqlite3", "prometheus_client", "msgspec", "exporter.demo")


def invoke(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, env=variables)


def body(function: Callable[[], int]) -> Result:
    """Run a command with this body."""
    return CliRunner().invoke(command.Command("try", callback=function), [])


def fail(error: Exception) -> Callable[[], int]:
    def function() -> int:
        raise error

    return function


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_configuration_exits_2_with_every_problem_on_stderr(command: str) -> None:
    result = invoke(command, "--pairs.max=many", FHIR_TASK_EXPORTER_DEADLINE="0bd")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Invalid configuration:",
        "  --fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)",
        "  FHIR_TASK_EXPORTER_DEADLINE: must be from 1bd to 100bd",
        "  --pairs.max: must be a whole number from 1 to 10000",
        ConfigurationError.remedy,
        f"Every option is described at {documents.url('configuration.md')}",
    ]


def test_serve_survives_a_hangup_before_its_configuration_is_read_and_no_other_command_changes_that() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        for name in ("check", "once", "demo"):
            assert invoke(name, "--log.level=loud").exit_code == 2
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        assert invoke("serve", "--log.level=loud").exit_code == 2
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("flags", "variables", "named"),
    [
        ({}, {}, False),
        ({"config_file": ["exporter.yaml"]}, {}, True),
        ({}, {"FHIR_TASK_EXPORTER_CONFIG_FILE": "exporter.yaml"}, True),
    ],
)
def test_there_is_something_to_reload_only_if_a_file_is_named(
    flags: dict[str, list[str]], variables: dict[str, str], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert (options.reload_from(flags) is not None) is named


def test_an_unknown_option_is_named_with_the_one_that_is_meant() -> None:
    result = invoke("serve", "--fhir.page-size", "nope", "--fhir.usernam", CANARY)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "Error: No such option --fhir.usernam. Did you mean --fhir.username?"
    assert CANARY not in result.stderr


@pytest.mark.parametrize("command", sorted(cli.main.commands))
def test_no_command_runs_with_an_option_that_it_does_not_know(command: str) -> None:
    result = invoke(command, "--bogus", FHIR_TASK_EXPORTER_FHIR_URL="http://127.0.0.1:1/fhir")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "Error: No such option --bogus."


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("--password", "No such option --password. Did you mean --fhir.password-file?"),
        ("-fhir.url", "No such option -f. Did you mean --fhir.url?"),
        (f"-q{CANARY}", "No such option -q."),
        (f"--color:{CANARY}", "No such option --color."),
        (f"--no-fhir.rewrite-links={CANARY}", "Option '--no-fhir.rewrite-links' does not take a value."),
        ("--fhir.url", "Option '--fhir.url' requires an argument."),
        (CANARY, "Unexpected argument; a value must follow its option."),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(word: str, problem: str) -> None:
    result = invoke("serve", word)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {problem}"
    assert CANARY not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", CANARY),
        ("serve", f"--secret={CANARY}"),
        ("serve", "--fhir.usernam", CANARY),
        ("demo", "--", f"--{CANARY}"),
        ("rules", "--jib", CANARY),
        ("serve", "--fhir.url", CANARY),
        ("serve", f"--fhir.rewrite-links={CANARY}"),
        ("serve", "--fhir.bearer-token-file", f"/{CANARY}"),
        ("demo", "--speed", CANARY),
        ("demo", "--", CANARY),
    ],
)
def test_wrong_usage_exits_2_and_repeats_no_value(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert CANARY not in result.output
    assert result.stderr


def test_the_help_names_the_commands() -> None:
    text = invoke("--help").stdout
    assert [name for name in cli.main.commands if f"\n  {name} " not in text] == []


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
def test_the_help_of_a_command_has_its_options_under_their_headings(command: str, options: Sequence[Option]) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    heading, found = "", {}
    for line in result.stdout.splitlines():
        heading = line.removesuffix(":") if line and not line.startswith(" ") else heading
        if words := re.match(r"  (--[a-z0-9.-]+)", line):
            found[words[1]] = heading
    found.pop("--help", None)  # click keeps this option from the first context, which in other tests has no `-h`
    wanted = {option.flag: group_of(option) for option in options} | {"--config.file": "Configuration file"}
    assert found == wanted | {"--version": "Other options"}


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_come_before_the_options_and_can_be_typed(command: str) -> None:
    text = invoke(command, "--help").stdout
    assert text.index("\nExamples:\n") < text.index("\nFHIR server:\n")
    examples = re.findall(r"^  fhir-task-exporter (.*)$", text, re.MULTILINE)
    assert len(examples) > 1
    for name, *words in map(shlex.split, examples):
        assert cli.main.commands[name].make_context(name, words) is not None


def test_the_help_shows_ranges_and_words() -> None:
    text = " ".join(invoke("serve", "--help").stdout.split())
    for shown in ("[default: 200; 1 to 500]", "longer than 0s]", "[default: info; one of debug, info,"):
        assert shown in text


def test_once_is_offered_only_what_it_uses() -> None:
    assert {option.flag for option in OPTIONS} - {option.flag for option in ONCE_OPTIONS} >= {
        *("--web.listen-address", "--series.hold", "--reconcile.full-interval", "--poll.min-interval"),
    }
    result = invoke("once", "--web.listen-address", ":1")
    assert result.stderr.splitlines()[-1] == "Error: No such option --web.listen-address."


def test_every_group_has_an_option() -> None:
    assert {group_of(option) for option in (CONFIG_FILE, *OPTIONS, *DEMO_OPTIONS)} == set(GROUPS)


@pytest.mark.parametrize("words", [("--version",), ("version",), *((name, "--version") for name in cli.main.commands)])
def test_the_version_is_that_of_the_distribution(words: tuple[str, ...]) -> None:
    assert invoke(*words).stdout == f"fhir-task-exporter {version('fhir-task-exporter')}\n"


def test_a_misspelled_variable_is_named_beside_what_is_missing() -> None:
    result = invoke("serve", FHIR_TASK_EXPORTER_FHIR_ULR=CANARY)
    assert "  --fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)" in result.stderr
    assert "  FHIR_TASK_EXPORTER_FHIR_ULR: unknown variable" in result.stderr
    assert CANARY not in result.stderr


def test_a_problem_with_a_key_named_like_a_secret_is_readable(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"fhir: {{password: {CANARY}}}\n")
    result = invoke("serve", "--config.file", str(file))
    assert "fhir.password: unknown key; did you mean fhir.password-file?" in result.stderr
    assert CANARY not in result.stderr


def test_dashboard_has_the_addresses_that_it_is_given_and_names_the_others() -> None:
    result = invoke("dashboard", "--cdr-url", "https://cdr.example.org/")
    assert result.stderr.splitlines() == [
        f"--runbook-url is not set: links in the dashboard lead to {bundle.RUNBOOKS}, which does not exist."
    ]
    assert json.loads(result.stdout)
    assert bundle.CDR not in result.stdout
    assert '"https://cdr.example.org"' in result.stdout


def test_rules_says_which_of_its_addresses_lead_nowhere() -> None:
    result = invoke("rules", "--grafana-url", "https://grafana.example.org")
    (line,) = result.stderr.splitlines()
    assert line.startswith("--runbook-url is not set:")
    assert result.stdout == bundle.rules(grafana_url="https://grafana.example.org")


def test_the_last_of_two_flags_counts_and_switches_have_a_no() -> None:
    words = [
        "--fhir.rewrite-links",
        "--no-fhir.rewrite-links",
        "--fhir.search=a=b",
        "--fhir.search",
        "c=d",
        "--ledger=x",
    ]
    found = options.flags_of(cli.main.commands["serve"].make_context("serve", words).params)
    assert {name: texts for name, texts in found.items() if texts} == {
        "fhir.rewrite-links": ("false",),
        "fhir.search": ("a=b", "c=d"),
        "ledger": ("x",),
    }
    assert "page-size" not in invoke("serve", "--fhir.page-size=x", "--fhir.page-size=1").stderr


def test_an_empty_flag_is_no_unset_flag() -> None:
    assert "--fhir.username: must not be empty" in invoke("serve", "--fhir.username=").stderr


@pytest.mark.parametrize("code", [0, 1])
def test_the_body_of_a_command_decides_the_exit_code(code: int) -> None:
    assert body(lambda: code).exit_code == code


def test_a_problem_exits_1_with_what_happened_and_what_to_do() -> None:
    result = body(fail(Unreachable("No connection to the FHIR server.")))
    assert result.exit_code == 1
    assert result.stderr == f"No connection to the FHIR server.\n{Unreachable.remedy}\n"


def test_an_error_of_our_own_shows_its_place_and_not_its_message() -> None:
    result = body(fail(KeyError(CANARY)))
    assert result.exit_code == 1
    assert "KeyError at " in result.stderr
    assert "test_commands.py:" in result.stderr
    assert CANARY not in result.output


def test_click_itself_still_ends_a_command() -> None:
    assert body(fail(click.exceptions.Exit(3))).exit_code == 3


def test_a_wrong_configuration_is_reported_before_anything_heavy_is_loaded() -> None:
    code = f"import sys, exporter.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_variable_of_kubernetes_only_warns() -> None:
    variables = {"FHIR_TASK_EXPORTER_PORT": f"tcp://{CANARY}:9842"}
    arguments = ["check", "--fhir.url", "http://127.0.0.1:1/fhir", "--ledger", ":memory:"]
    found = subprocess.run(
        [sys.executable, "-m", "exporter", *arguments], capture_output=True, text=True, check=False, env=variables
    )
    assert found.returncode == 1
    assert "ignoring unknown environment variable" in found.stderr
    assert "variable=FHIR_TASK_EXPORTER_PORT" in found.stderr
    assert CANARY not in found.stdout + found.stderr


def test_a_shell_can_complete_options() -> None:
    variables = {"COMP_WORDS": "fhir-task-exporter serve --fhir.u", "COMP_CWORD": "2"}
    variables["_FHIR_TASK_EXPORTER_COMPLETE"] = "bash_complete"
    command = "from exporter.cli import main; main(prog_name='fhir-task-exporter')"
    found = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, env=variables)
    assert found.stdout.split() == ["plain,--fhir.url", "plain,--fhir.username"]
