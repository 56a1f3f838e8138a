"""The systemd unit. `.ci/systemd` shows that it starts under its restrictions; here is what can be read in it."""

import re

from .files import LEDGER_FOLDER, OPTION_VARIABLES, ROOT, ours, pyproject

TEXT = (ROOT / "deploy/systemd/fhir-task-exporter.service").read_text("utf-8")
STATE, NAME = "%S", "fhir-task-exporter"


def given(setting: str) -> list[str]:
    return re.findall(rf"^{setting}=(.*)$", TEXT, re.MULTILINE)


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in given("Environment") for pair in line.split())


def test_it_starts_the_command_that_the_package_installs() -> None:
    (command,) = given("ExecStart")
    path, word = command.split()
    assert path.rpartition("/")[2] in pyproject()["project"]["scripts"]
    assert word == "serve"


def test_a_reload_is_a_signal_to_the_process() -> None:
    assert given("ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_every_variable_of_ours_is_an_option() -> None:
    named = set(re.findall(r"FHIR_TASK_EXPORTER_[A-Z0-9_]+", TEXT))
    assert {"FHIR_TASK_EXPORTER_LEDGER", "FHIR_TASK_EXPORTER_FHIR_BEARER_TOKEN_FILE"} <= named
    assert ours({name for name in named if not name.endswith("_")}) <= OPTION_VARIABLES


def test_the_ledger_and_what_sqlite_spills_are_in_the_one_folder_that_it_may_write() -> None:
    assert given("StateDirectory") == [NAME]
    assert f"/var/lib/{NAME}" == LEDGER_FOLDER
    assert variables()["FHIR_TASK_EXPORTER_LEDGER"] == f"{STATE}/{NAME}/ledger.db"
    assert variables()["SQLITE_TMPDIR"] == f"{STATE}/{NAME}"
    assert given("ReadWritePaths") == []


def test_secrets_come_as_credentials_and_not_in_variables() -> None:
    names = [line.partition(":")[0] for line in given("LoadCredential")]
    files = [value for name, value in variables().items() if name.endswith("_FILE")]
    assert files == [f"%d/{name}" for name in names]


def test_a_wrong_configuration_is_not_tried_again_and_a_crash_is() -> None:
    assert given("Restart") == ["on-failure"]
    assert given("RestartPreventExitStatus") == ["2"]
    assert given("StartLimitIntervalSec") == ["0"]


def test_memory_is_limited_as_on_kubernetes() -> None:
    assert given("MemoryMax") == ["256M"]
    assert "memory: 256Mi" in (ROOT / "deploy/exporter/statefulset.yaml").read_text("utf-8")
