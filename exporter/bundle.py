"""What is shipped beside the programme: the Prometheus rules and the Grafana dashboard, as text to print.

Rule 1: the files are the truth; nothing here knows an alert or a panel.
Rule 2: what a person gives is checked before it comes into a rule: nothing can end a matcher or begin a template.
"""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from .errors import ConfigurationError

JOB = "fhir-task-exporter"
RUNBOOKS = "https://fhir-task-exporter.example/runbooks"
GRAFANA = "https://grafana.example"
"""What the bundled rules say; `.example` is nobody's domain (RFC 2606), so a forgotten one is seen at once."""

_DASHBOARD = "dashboards/p2p-exchanges.json"
_RULES = ("rules/recording.yaml", "rules/alerts.yaml")
_GROUPS = "\ngroups:\n"

# Prometheus allows any text as a job. Quotes, backslashes, braces and line ends would need escaping thrice, for PromQL,
# for YAML and for templates; what is left holds every name that people and the Prometheus Operator give.
_JOB = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]{1,500}")


def rules(job: str = JOB, runbook_url: str = RUNBOOKS, grafana_url: str = GRAFANA) -> str:
    """Write recording rules and alerts as one rule file for this job, with links to these places.

    Raises a ConfigurationError that holds every fault; it does not repeat what was given.
    """
    _check(job, {"--runbook-url": runbook_url, "--grafana-url": grafana_url})
    comments, groups = zip(*(_read(name).split(_GROUPS) for name in _RULES), strict=True)
    text = "\n#\n".join(comments) + _GROUPS + "\n".join(groups)
    said = {f'job="{JOB}"': f'job="{job}"', RUNBOOKS: runbook_url.rstrip("/"), GRAFANA: grafana_url.rstrip("/")}
    return re.sub("|".join(map(re.escape, said)), lambda found: said[found[0]], text)


def dashboard() -> str:
    """Write the dashboard's JSON, for import or for provisioning."""
    return _read(_DASHBOARD)


def _check(job: str, urls: dict[str, str]) -> None:
    faults = [] if _JOB.fullmatch(job) else ["--job: give 1 to 128 letters, digits and any of _ . : / -"]
    faults += [
        f"{flag}: give http:// or https:// and then letters, digits and any of . _ ~ : / [ ] % -"
        for flag, url in urls.items()
        if not _URL.fullmatch(url)
    ]
    if faults:
        raise ConfigurationError(tuple(faults))


def _read(name: str) -> str:
    return _root().joinpath(name).read_text(encoding="utf-8")


def _root() -> Traversable:
    """Find the files: the wheel carries them inside the package, a checkout beside it."""
    bundled = files(__package__).joinpath("_bundle")
    return bundled if bundled.is_dir() else Path(__file__).parents[1] / "grafana"
