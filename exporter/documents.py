"""Where the documents are on the web: what is installed from a wheel has no docs/ beside it."""

import re
from importlib.metadata import version

REPOSITORY = "https://github.com/fhir-task-exporter/fhir-task-exporter"
"""As in [project.urls] of pyproject.toml; a test compares them."""
_RELEASE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def url(page: str) -> str:
    """Return the address of a page of docs/, such as `metrics.md#anomalies`, as it was in this version."""
    return f"{REPOSITORY}/blob/{_revision(version('fhir-task-exporter'))}/docs/{page}"


def _revision(version: str) -> str:
    """Return the tag of a release; what was built between two releases is nearest to main."""
    return f"v{version}" if _RELEASE.fullmatch(version) else "main"
