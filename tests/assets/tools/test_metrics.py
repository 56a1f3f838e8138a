"""docs/metrics.md describes every metric, label and kind of anomaly that the code has."""

import re
from pathlib import Path

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.families import families
from exporter.task.lifecycle import LONGEST_DURATION_SECONDS
from exporter.task.model import DAY, Anomaly
from tools.metrics import ANOMALIES
from tools.sample_snapshot import EVERYTHING, USUAL, sample_snapshot

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text("utf-8")


def samples(pairs: int) -> int:
    return sum(len(family.samples) for family in families(sample_snapshot(pairs, USUAL)))


def test_every_metric_every_label_and_every_closed_value_is_on_the_page() -> None:
    for metric in CATALOGUE:
        words = (metric.name, *metric.label_names, *(value for label in metric.labels for value in label.values))
        assert not [word for word in words if f"`{word}`" not in PAGE]
        assert metric.help in PAGE


def test_every_kind_of_anomaly_is_explained_once() -> None:
    assert list(ANOMALIES) == list(Anomaly)
    assert [kind for kind in Anomaly if PAGE.count(f"\n| `{kind}` | ") != 1] == []


def test_the_longest_duration_in_the_text_is_that_of_the_code() -> None:
    (years,) = re.findall(r"Durations over (\d+)\s+years", PAGE)
    assert int(years) * 365 * DAY == LONGEST_DURATION_SECONDS


def test_each_row_of_a_table_has_the_cells_of_its_head() -> None:
    for block in PAGE.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_a_pair_takes_about_sixty_samples_and_the_invented_names_have_thirty_letters() -> None:
    assert 55 <= samples(2) - samples(1) <= 65
    assert {len(name) for series in sample_snapshot(101, EVERYTHING).counts for name in series.pair or ()} == {30}
