"""The files that are shipped with the program, as text to print: Prometheus rules and the Grafana dashboard.

Rule 1: the files are the source; nothing here knows an alert or a panel.
Rule 2: a job or URL is validated before it is put into a rule: it cannot end a matcher or begin a template.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from .errors import ConfigurationError

JOB = "fhir-task-exporter"
RUNBOOKS = "https://fhir-task-exporter.example/runbooks"
GRAFANA = "https://grafana.example"
CDR = "https://smile-cdr.example"
REFRESH_SECONDS = 92 * 86_400
"""What the bundled files contain; `.example` is a reserved domain (RFC 2606), so a forgotten one is obvious."""

_DASHBOARD = "dashboards/p2p-exchanges.json"
_RULES = ("rules/recording.yaml", "rules/alerts.yaml")
_GROUPS = "\ngroups:\n"

# Prometheus allows any text as a job. Quotes, backslashes, braces and line ends would need escaping three times, for
# PromQL, YAML and templates; the rest covers every name that people and the Prometheus Operator choose.
_JOB = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]{1,500}")


def rules(
    job: str = JOB,
    runbook_url: str = RUNBOOKS,
    grafana_url: str = GRAFANA,
    refresh_after_seconds: int = REFRESH_SECONDS,
) -> str:
    """Return recording and alerting rules as one rule file for this job, with links to these URLs.

    `refresh_after_seconds` is the limit of P2PRefreshDue. Raises ConfigurationError with every problem; it does not
    repeat the values.
    """
    wrong_job = [] if _JOB.fullmatch(job) else ["--job: must be 1 to 128 letters, digits and any of _ . : / -"]
    _raise([*wrong_job, *_wrong_urls({"--runbook-url": runbook_url, "--grafana-url": grafana_url})])
    comments, groups = zip(*(_read(name).split(_GROUPS) for name in _RULES), strict=True)
    text = "\n#\n".join(comments) + _GROUPS + "\n".join(groups)
    replacements = {
        f'job="{JOB}"': f'job="{job}"',
        RUNBOOKS: runbook_url.rstrip("/"),
        GRAFANA: grafana_url.rstrip("/"),
        f"> {REFRESH_SECONDS}": f"> {refresh_after_seconds}",
    }
    return _replace(text, replacements)


def dashboard(runbook_url: str = RUNBOOKS, cdr_url: str = CDR) -> str:
    """Return the dashboard as JSON, for import or provisioning, with links to these URLs.

    Raises ConfigurationError with every problem; it does not repeat the values.
    """
    _raise(_wrong_urls({"--runbook-url": runbook_url, "--cdr-url": cdr_url}))
    return _replace(_read(_DASHBOARD), {RUNBOOKS: runbook_url.rstrip("/"), CDR: cdr_url.rstrip("/")})


def _replace(text: str, replacements: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, replacements)), lambda found: replacements[found[0]], text)


def _wrong_urls(urls: Mapping[str, str]) -> list[str]:
    return [
        f"{flag}: must be http:// or https:// and then letters, digits and any of . _ ~ : / [ ] % -"
        for flag, url in urls.items()
        if not _URL.fullmatch(url)
    ]


def _raise(problems: list[str]) -> None:
    if problems:
        raise ConfigurationError(tuple(problems))


def _read(name: str) -> str:
    return _root().joinpath(name).read_text(encoding="utf-8")


def _root() -> Traversable:
    """Find the files: in a wheel they are inside the package, in a checkout next to it."""
    bundled = files(__package__).joinpath("_bundle")
    return bundled if bundled.is_dir() else Path(__file__).parents[1] / "grafana"
