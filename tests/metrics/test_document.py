"""docs/metrics.md says what the code does."""

from pathlib import Path

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.document import ANOMALIES, EVERYTHING, USUAL, metrics_markdown, picture
from exporter.metrics.families import families
from exporter.task.model import Anomaly

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def samples(pairs: int) -> int:
    return sum(len(family.samples) for family in families(picture(pairs, USUAL)))


def test_the_page_is_the_one_the_code_writes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == metrics_markdown(), "run `make docs`"


def test_every_metric_every_label_and_every_closed_value_is_on_the_page() -> None:
    page = metrics_markdown()
    for metric in CATALOGUE:
        words = (metric.name, *metric.label_names, *(value for label in metric.labels for value in label.values))
        assert not [word for word in words if f"`{word}`" not in page]
        assert metric.help in page


def test_every_kind_of_anomaly_is_explained_once() -> None:
    assert list(ANOMALIES) == list(Anomaly)
    assert [kind for kind in Anomaly if metrics_markdown().count(f"\n| `{kind}` | ") != 1] == []


def test_each_row_of_a_table_has_the_cells_of_its_head() -> None:
    for block in metrics_markdown().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_a_pair_takes_about_sixty_samples_and_the_invented_names_have_thirty_letters() -> None:
    assert 55 <= samples(2) - samples(1) <= 65
    assert {len(name) for series in picture(101, EVERYTHING).counts for name in series.pair or ()} == {30}
