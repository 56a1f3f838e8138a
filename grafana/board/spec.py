"""The values that describe a panel before there is one: words, measures, sizes, queries, columns."""

from dataclasses import dataclass
from typing import NamedTuple

from .limits import NONE, Steps


@dataclass(frozen=True, slots=True)
class Words:
    """What a panel says for itself. `none` stands where there is no data; `alerts` look at the same numbers."""

    title: str
    counts: str
    act: str
    none: str
    alerts: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Say it in Markdown, as Grafana shows it."""
        used = f"Alert: {', '.join(self.alerts)}." if self.alerts else "No alert uses it."
        return f"{self.counts}\n\nWhat to do: {self.act}\n\n{used}"


class Measure(NamedTuple):
    """How values are written and coloured. `unit` is an id of Grafana's own."""

    unit: str = "locale"
    steps: Steps = NONE
    decimals: int | None = None
    bounds: tuple[float | None, float | None] = (None, None)


class Size(NamedTuple):
    """Of the 24 columns, and of rows of 30 pixels."""

    width: int
    height: int


class Query(NamedTuple):
    """A question, and how to call the answers. A label that is absent leaves nothing behind in a legend."""

    expr: str
    legend: str = "{{job}} {{fhir_source}}"


COUNT = Measure("locale")
"""Whole and in full: `short` would write 1746 as 2 K. Without `decimals: 0`, since Grafana writes the text for no data
beside each tick of an axis that it leaves out for that."""
QUARTER = Size(6, 4)
THIRD, HALF, WHOLE = Size(8, 8), Size(12, 8), Size(24, 9)


class Column(NamedTuple):
    """One query of a table, shown as one column."""

    title: str
    expr: str
    measure: Measure = COUNT


class Label(NamedTuple):
    """A label shown as a column, perhaps with a link."""

    name: str
    title: str
    link: str = ""
