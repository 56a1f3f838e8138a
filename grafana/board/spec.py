"""Values that describe a panel: texts, units, sizes, queries, columns."""

from dataclasses import dataclass
from typing import NamedTuple

from .limits import NONE, Steps


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of a panel. `none` is shown if there is no data; `alerts` use the same numbers."""

    title: str
    counts: str
    act: str
    none: str
    alerts: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Format the description as Markdown."""
        used = f"Alert: {', '.join(self.alerts)}." if self.alerts else "No alert uses it."
        return f"{self.counts}\n\nWhat to do: {self.act}\n\n{used}"


class Measure(NamedTuple):
    """How values are formatted and colored. `unit` is a Grafana unit id."""

    unit: str = "locale"
    steps: Steps = NONE
    decimals: int | None = None
    bounds: tuple[float | None, float | None] = (None, None)


class Size(NamedTuple):
    """In grid units: 24 columns, rows of 30 pixels."""

    width: int
    height: int


class Query(NamedTuple):
    """A query and its legend. An absent label adds nothing to the legend. `exemplars` asks for those of its series."""

    expr: str
    legend: str = "{{job}} {{fhir_source}}"
    exemplars: bool = False


COUNT = Measure("locale")
"""Full integers: `short` would show 1746 as 2 K. No `decimals: 0`, since Grafana would then show the no-data text at
each axis tick that it omits."""
QUARTER = Size(6, 4)
THIRD, HALF, WHOLE = Size(8, 8), Size(12, 8), Size(24, 9)


class Column(NamedTuple):
    """One query of a table, shown as one column."""

    title: str
    expr: str
    measure: Measure = COUNT


class Label(NamedTuple):
    """A label shown as a column, with an optional link."""

    name: str
    title: str
    link: str = ""
