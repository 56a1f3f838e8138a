"""The Dockerfile. That it builds and runs is shown by `.ci/container`; here is what can be known by reading it."""

import fnmatch
import json
import re
import shlex

import pytest

from .files import LEDGER_FOLDER, OPTION_VARIABLES, ROOT, USER, fallback_version, ours, pyproject, stages

BUILDER, FINAL = stages((ROOT / "Dockerfile").read_text("utf-8"))
LOCKS = ["requirements.lock", "requirements-build.lock"]
IGNORED = [
    line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith("#")
]


def given(instruction: str) -> list[str]:
    return [rest for word, rest in FINAL if word == instruction]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in given("ENV") for pair in shlex.split(rest))


def reaches_the_build(path: str) -> bool:
    """Tell whether .dockerignore lets a path through; the last line that fits decides, as Docker documents it."""
    passed = True
    for line in IGNORED:
        pattern = line.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatch(path[:end], pattern) for end in _ends(path)):
            passed = line.startswith("!")
    return passed


def _ends(path: str) -> list[int]:
    return [place for place, letter in enumerate(path) if letter == "/"] + [len(path)]


def test_the_last_stage_runs_nothing_so_that_only_copied_files_are_added() -> None:
    assert given("RUN") == []
    assert all("--from=builder" in rest for rest in given("COPY"))


def test_both_stages_stand_on_the_one_base_that_an_argument_names() -> None:
    assert BUILDER[0] == ("FROM", "${BASE} AS builder")
    assert FINAL[0] == ("FROM", "${BASE}")


def test_it_runs_as_a_user_known_by_number_who_owns_the_ledgers_folder() -> None:
    assert given("USER") == [f"{USER}:{USER}"]
    assert f"--from=builder --chown={USER}:{USER} /ledger {LEDGER_FOLDER}" in given("COPY")


def test_the_ledger_and_what_sqlite_spills_are_in_the_volume() -> None:
    said = environment()
    assert given("VOLUME") == [LEDGER_FOLDER]
    assert said["FHIR_TASK_EXPORTER_LEDGER"].startswith(LEDGER_FOLDER + "/")
    assert said["SQLITE_TMPDIR"] == LEDGER_FOLDER


def test_every_variable_of_ours_is_an_option() -> None:
    assert ours(set(environment())) <= OPTION_VARIABLES


def test_it_listens_on_the_port_that_it_exposes() -> None:
    assert environment()["FHIR_TASK_EXPORTER_WEB_LISTEN_ADDRESS"] == f"0.0.0.0:{given('EXPOSE')[0]}"


def test_it_starts_the_command_that_the_package_installs() -> None:
    (command,) = json.loads(given("ENTRYPOINT")[0])
    assert command in pyproject()["project"]["scripts"]
    assert json.loads(given("CMD")[0]) == ["serve"]
    assert given("STOPSIGNAL") == ["SIGTERM"]


def test_its_health_check_is_python_that_asks_us() -> None:
    (check,) = given("HEALTHCHECK")
    python, flag, programme = json.loads(check.partition("CMD ")[2])
    assert (python, flag) == ("python", "-c")
    compile(programme, "HEALTHCHECK", "exec")
    assert "'/-/healthy'" in programme


def test_label_and_package_have_the_version_that_the_build_is_given() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE) == [fallback_version()]
    assert [rest for word, rest in (*BUILDER, *FINAL) if word == "ARG" and rest == "VERSION"] == ["VERSION"] * 2
    assert 'org.opencontainers.image.version="${VERSION}"' in given("LABEL")[0]
    (step,) = (step for word, step in BUILDER if word == "RUN" and "pip wheel" in step)
    assert 'SETUPTOOLS_SCM_PRETEND_VERSION="${VERSION}"' in step


def test_no_package_is_compiled_and_each_comes_with_its_hash() -> None:
    installs = [step for word, rest in BUILDER if word == "RUN" for step in rest.split("&&") if " install --q" in step]
    assert all("--only-binary :all:" in step for step in installs)
    locked = [step for step in installs if "--no-index" not in step]
    assert [shlex.split(step)[-1] for step in locked] == ["requirements-build.lock", "requirements.lock"]
    assert all("--require-hashes --requirement" in step for step in locked)


def test_what_no_lock_names_is_our_own_and_comes_from_no_index() -> None:
    steps = [step for word, rest in BUILDER if word == "RUN" for step in rest.split("&&") if "pip" in step]
    (installed,) = (step for step in steps if "--find-links /wheels" in step)
    (built,) = (step for step in steps if "pip wheel" in step)
    assert shlex.split(installed)[-1] == pyproject()["project"]["name"]
    assert all("--no-index --no-deps" in step for step in (installed, built))


def test_what_the_wheel_is_made_of_reaches_the_build() -> None:
    wheel = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = ["pyproject.toml", *LOCKS, "README.md", "LICENSE", "exporter/app/serve.py", *wheel["force-include"]]
    copied = {each for word, rest in BUILDER if word == "COPY" for each in rest.split()[:-1]}
    assert [path for path in wanted if not reaches_the_build(path)] == []
    assert [path for path in wanted if path.split("/")[0] not in copied] == []


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/pyvenv.cfg", "tests/fake.py", "ledger.db", "exporter/__pycache__/cli.cpython-311.pyc"],
)
def test_nothing_else_reaches_the_build(path: str) -> None:
    assert not reaches_the_build(path)


def test_no_secret_of_the_build_is_copied_or_kept_in_a_variable() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert not re.search(r"^(ARG|ENV) .*(TOKEN|PASSWORD|SECRET|INDEX_URL|PROXY)", text, re.MULTILINE)
