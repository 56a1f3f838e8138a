"""The limits of ../thresholds.yaml as colors: orange for warnings, red for pages, blue for notices, as with the alerts.

An alert fires above its limit, while Grafana colors from a step on. For counts the step is therefore one more; for
times and ratios they are the same, except exactly at the limit.
"""

from pathlib import Path

import yaml

Limits = dict[str, dict[str, float]]
Steps = tuple[tuple[float | None, str], ...]

GREEN, BLUE, ORANGE, RED, PLAIN = "green", "blue", "orange", "red", "text"
GREY = "#5a6069"

LIMITS: Limits = yaml.safe_load((Path(__file__).parent.parent / "thresholds.yaml").read_text(encoding="utf-8"))
EXCHANGE, OBJECTIVE, EXPORTER = LIMITS["exchange"], LIMITS["slo"], LIMITS["exporter"]
EXPORT = LIMITS["export"]
BATCH_JOBS = LIMITS["batch_jobs"]

NONE: Steps = ((None, PLAIN),)
"""Without any step, Grafana would use its default: red from 80 on."""

LABELLED: Steps = ((None, BLUE),)
"""Bars without a limit."""


def above(limit: float, colour: str) -> Steps:
    """Color times and ratios above a limit."""
    return ((None, GREEN), (limit, colour))


def more_than(limit: float, colour: str) -> Steps:
    """Color counts above a limit."""
    return ((None, GREEN), (limit + 1, colour))


def below(limit: float, colour: str) -> Steps:
    """Color values below a limit."""
    return ((None, colour), (limit, GREEN))
