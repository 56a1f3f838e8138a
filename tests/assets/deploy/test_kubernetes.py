"""The objects for Kubernetes. `.ci/kubernetes` holds them against the schemas; here is what no schema knows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .files import EXPORTER, LEDGER_FOLDER, OPTION_VARIABLES, ROOT, USER, next_release, ours, read

STATEFUL_SET = read(EXPORTER / "statefulset.yaml")["spec"]
POD = STATEFUL_SET["template"]["spec"]
(CONTAINER,) = POD["containers"]
SERVICE = read(EXPORTER / "service.yaml")
MONITOR = read(EXPORTER / "servicemonitor.yaml")["spec"]
POLICY = read(EXPORTER / "networkpolicy.yaml")["spec"]
FOLDERS = [ROOT / "deploy" / name for name in ("base", "exporter", "monitoring", "example")]
LABELS = STATEFUL_SET["template"]["metadata"]["labels"]
MOST_OF_A_CONFIG_MAP = 250_000
"""Bytes: `kubectl apply` repeats an object in an annotation, and annotations may have 262,144."""


def kustomization(folder: Path) -> dict[str, Any]:
    return dict(read(folder / "kustomization.yaml"))


def literals(folder: Path) -> Iterator[tuple[str, str]]:
    for generator in kustomization(folder).get("configMapGenerator", ()):
        for literal in generator.get("literals", ()):
            name, _, value = literal.partition("=")
            yield name, value


def everything() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "deploy").rglob("*.yaml")):
        yield from (each for each in yaml.safe_load_all(path.read_text("utf-8")) if "kind" in each)


def test_one_process_has_the_ledger_and_its_volume_to_itself() -> None:
    (claim,) = STATEFUL_SET["volumeClaimTemplates"]
    mounted = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert STATEFUL_SET["replicas"] == 1
    assert mounted[claim["metadata"]["name"]] == LEDGER_FOLDER
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_a_pod_that_never_got_ready_is_replaced_by_a_mended_one() -> None:
    assert STATEFUL_SET["podManagementPolicy"] == "Parallel"


def test_kubernetes_injects_no_variables_with_our_prefix() -> None:
    assert POD["enableServiceLinks"] is False


def test_the_pod_meets_the_restricted_standard() -> None:
    """Pod Security Standards, profile Restricted; a read-only root is ours."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False


def test_the_pods_user_is_the_images_and_may_write_its_volume() -> None:
    said = POD["securityContext"]
    assert said["runAsUser"] == said["runAsGroup"] == said["fsGroup"] == USER


def test_memory_is_limited_and_the_processor_is_not() -> None:
    assert CONTAINER["resources"]["limits"] == {"memory": "256Mi"}


def test_the_probes_ask_our_two_health_pages() -> None:
    asked = {name: CONTAINER[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
    assert asked == {
        "livenessProbe": {"path": "/-/healthy", "port": "metrics"},
        "readinessProbe": {"path": "/-/ready", "port": "metrics"},
    }


def test_everything_selects_the_pods_labels() -> None:
    assert STATEFUL_SET["selector"]["matchLabels"] == LABELS
    assert SERVICE["spec"]["selector"] == LABELS
    assert POLICY["podSelector"]["matchLabels"] == LABELS
    assert MONITOR["selector"]["matchLabels"] == LABELS
    (said,) = kustomization(EXPORTER)["labels"]
    assert said["pairs"] == LABELS, "the ServiceMonitor finds the Service by a label that kustomize gives it"


def test_the_job_is_a_label_that_an_overlay_does_not_rename() -> None:
    assert LABELS[MONITOR["jobLabel"]] == read("grafana/prometheus.yaml")["scrape_configs"][0]["job_name"]


def test_the_service_names_its_fhir_server_for_every_series() -> None:
    assert set(MONITOR["targetLabels"]) <= set(SERVICE["metadata"]["labels"])


def test_every_port_is_the_container_port_by_name() -> None:
    (port,) = CONTAINER["ports"]
    (offered,) = SERVICE["spec"]["ports"]
    (endpoint,) = MONITOR["endpoints"]
    (let_in,) = POLICY["ingress"][0]["ports"]
    assert {offered["targetPort"], endpoint["port"], let_in["port"], offered["name"]} == {port["name"]}


def test_nobody_but_prometheus_gets_in() -> None:
    assert POLICY["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = POLICY["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_secrets_stand_nowhere_but_are_mounted_from_one_that_may_be_missing() -> None:
    assert [each for each in everything() if each["kind"] == "Secret"] == []
    assert "secretGenerator" not in "".join(str(kustomization(folder)) for folder in FOLDERS)
    (volume,) = POD["volumes"]
    assert volume["secret"]["optional"] is True
    assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_secrets_of_the_example_are_files_in_the_mounted_secret() -> None:
    (folder,) = (
        mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] == POD["volumes"][0]["name"]
    )
    files = [value for name, value in literals(ROOT / "deploy/example") if name.endswith("_FILE")]
    assert files
    assert all(file.startswith(f"{folder}/") for file in files)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_options_given_as_variables_exist(folder: Path) -> None:
    given = {name for name, _ in literals(folder)}
    assert ours(given) == given <= OPTION_VARIABLES


def test_the_options_reach_the_container() -> None:
    (source,) = CONTAINER["envFrom"]
    (generator,) = kustomization(EXPORTER)["configMapGenerator"]
    assert source["configMapRef"]["name"] == generator["name"]


def test_the_image_is_that_of_the_next_release() -> None:
    (image,) = kustomization(EXPORTER)["images"]
    assert image == {"name": CONTAINER["image"], "newTag": next_release()}


def test_the_operators_rules_are_those_of_both_rule_files_and_no_others() -> None:
    groups = [group for name in ("recording", "alerts") for group in read(f"grafana/rules/{name}.yaml")["groups"]]
    assert read("deploy/monitoring/prometheusrule.yaml")["spec"]["groups"] == groups


def test_the_dashboard_is_labelled_for_grafanas_sidecar() -> None:
    (generator,) = read("grafana/kustomization.yaml")["configMapGenerator"]
    assert generator["options"]["labels"] == {"grafana_dashboard": "1"}
    on_disk = sorted(path.name for path in (ROOT / "grafana/dashboards").glob("*.json"))
    assert [Path(file).name for file in generator["files"]] == on_disk


def test_the_dashboard_fits_into_what_kubectl_can_apply() -> None:
    for path in (ROOT / "grafana/dashboards").glob("*.json"):
        assert path.stat().st_size < MOST_OF_A_CONFIG_MAP, f"{path.name}: kubectl apply --server-side would be needed"


@pytest.mark.parametrize("folder", [*FOLDERS, ROOT / "grafana"], ids=lambda folder: folder.name)
def test_every_resource_of_a_kustomization_exists(folder: Path) -> None:
    missing = [each for each in kustomization(folder).get("resources", ()) if not (folder / each).exists()]
    assert missing == []
