"""deploy/monitoring/prometheusrule.yaml, generated from the files in grafana/rules.

The Prometheus Operator reads rules from a PrometheusRule object, which kustomize cannot make from a rule file.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
SOURCES = ("recording.yaml", "alerts.yaml")

HEAD = """\
# Written from grafana/rules/ by `make generate`: change the rules there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: fhir-task-exporter
spec:
"""


class _Prose(yaml.SafeDumper):
    """Keeps multi-line expressions as block scalars."""


def _scalar(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value.strip() else None)


_Prose.add_representer(str, _scalar)


def text() -> str:
    """Return the object as YAML: the groups of both rule files, recording rules first."""
    groups = [group for name in SOURCES for group in _groups(name)]
    body = yaml.dump({"groups": groups}, Dumper=_Prose, sort_keys=False, width=120, allow_unicode=True)
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())


def _groups(name: str) -> list[object]:
    loaded = yaml.safe_load((ROOT / "grafana/rules" / name).read_text("utf-8"))
    return list(loaded["groups"])
