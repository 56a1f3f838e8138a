"""Writes deploy/monitoring/prometheusrule.yaml from grafana/rules: `python -m deploy.build`.

The Prometheus Operator takes rules as an object of its own, which kustomize cannot make from a file.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "deploy/monitoring/prometheusrule.yaml"
SOURCES = ("recording.yaml", "alerts.yaml")

HEAD = """\
# Written from grafana/rules/ by `python -m deploy.build`: change the rules there. A test holds the two equal.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: fhir-task-exporter
spec:
"""


class _Prose(yaml.SafeDumper):
    """Writes expressions over several lines as they were written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text.strip() else None)


_Prose.add_representer(str, _text)


def prometheus_rule() -> str:
    """Give the object as YAML: the groups of both rule files, recording rules first."""
    groups = [group for name in SOURCES for group in _groups(name)]
    body = yaml.dump({"groups": groups}, Dumper=_Prose, sort_keys=False, width=120, allow_unicode=True)
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())


def _groups(name: str) -> list[object]:
    loaded = yaml.safe_load((ROOT / "grafana/rules" / name).read_text("utf-8"))
    return list(loaded["groups"])


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule(), "utf-8")
