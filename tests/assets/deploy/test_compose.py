"""compose.yaml: what it mounts exists, what it names fits together, and nothing is open to other machines."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest

from .files import LEDGER_FOLDER, OPTION_VARIABLES, ROOT, next_release, ours, read

COMPOSE = read("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVE = read("deploy/compose.serve.yaml")["services"]
PROMETHEUS = read("grafana/prometheus.yaml")


def mounts(service: str) -> dict[str, str]:
    """Give source by target."""
    pairs = (volume.split(":") for volume in SERVICES[service]["volumes"])
    return {target: source for source, target, *_ in pairs}


def flag(service: str, name: str) -> str:
    (value,) = (
        word.partition("=")[2] for word in SERVICES[service]["command"] if word.partition("=")[0] == f"--{name}"
    )
    return str(value)


def targets(configurations: list[dict[str, Any]]) -> list[str]:
    return [target for each in configurations for group in each["static_configs"] for target in group["targets"]]


@pytest.mark.parametrize("service", SERVICES)
def test_every_mounted_path_exists(service: str) -> None:
    missing = [
        source
        for source in mounts(service).values()
        if not (source in COMPOSE["volumes"] if not source.startswith("./") else (ROOT / source).exists())
    ]
    assert missing == []


@pytest.mark.parametrize("service", SERVICES)
def test_files_of_ours_are_mounted_to_be_read_only(service: str) -> None:
    assert all(volume.endswith(":ro") for volume in SERVICES[service]["volumes"] if volume.startswith("./"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_bound_to_this_machine_alone(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_has_a_whole_version(service: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[service]["image"])


def test_our_image_is_that_of_the_next_release() -> None:
    assert SERVICES["exporter"]["image"].endswith(":" + next_release())


def test_no_password_stands_in_the_file() -> None:
    assert "password:" not in (ROOT / "compose.yaml").read_text("utf-8").lower()
    assert SERVICES["grafana"]["environment"]["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_exporter_runs_confined_with_its_ledger_in_a_volume() -> None:
    exporter = SERVICES["exporter"]
    assert exporter["read_only"]
    assert exporter["cap_drop"] == ["ALL"]
    assert exporter["mem_limit"] == "256m"
    assert mounts("exporter") == {LEDGER_FOLDER: "ledger"}


def test_prometheus_reads_the_configuration_that_people_get_and_finds_its_rules() -> None:
    mounted, configuration = mounts("prometheus"), PurePosixPath(flag("prometheus", "config.file"))
    assert mounted[str(configuration)] == "./grafana/prometheus.yaml"
    for rule_file in PROMETHEUS["rule_files"]:
        folder = str((configuration.parent / rule_file).parent)
        assert mounted[folder] == "./grafana/rules"
        assert (ROOT / "grafana" / rule_file).is_file()


def test_prometheus_finds_the_exporter_and_alertmanager_by_their_names_here() -> None:
    assert targets(PROMETHEUS["scrape_configs"]) == ["exporter:9842"]
    assert targets(PROMETHEUS["alerting"]["alertmanagers"]) == ["alertmanager:9093"]
    assert {"exporter", "alertmanager"} <= set(SERVICES)


def test_alertmanager_reads_the_example() -> None:
    assert mounts("alertmanager")[flag("alertmanager", "config.file")] == "./grafana/alertmanager.yaml"
    assert flag("alertmanager", "cluster.listen-address") == ""


def test_grafana_finds_the_dashboard_where_its_provisioning_looks() -> None:
    (provider,) = read("grafana/provisioning/dashboards/p2p.yaml")["providers"]
    mounted = mounts("grafana")
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"
    home = PurePosixPath(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounted[str(home.parent)] / home.name).is_file()


def test_grafana_finds_prometheus() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    variable = source["url"].removeprefix("${").removesuffix("}")
    assert SERVICES["grafana"]["environment"][variable] == "http://prometheus:9090"


def test_serving_a_real_server_sets_options_that_exist_and_no_secret() -> None:
    said = SERVE["exporter"]
    assert said["command"] == ["serve"]
    assert ours(set(said["environment"])) == set(said["environment"]) <= OPTION_VARIABLES
    assert said["environment"]["FHIR_TASK_EXPORTER_FHIR_BEARER_TOKEN_FILE"] == f"/run/secrets/{said['secrets'][0]}"
