"""Each threat of docs/threat-model.md names tests that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`|`(\.ci/\w+)`")


def rows() -> Iterator[tuple[str, str]]:
    """Yield each threat and its last cell."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "threat":
            yield cells[0], cells[2]


ROWS = dict(rows())


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("tests", ROWS.values(), ids=ROWS)
def test_each_threat_names_tests_that_exist(tests: str) -> None:
    named = list(NAMED.finditer(tests))
    assert named
    assert NAMED.sub("", tests).strip(", ") == ""
    for file, test, program in (found.groups() for found in named):
        path = ROOT / (file or program)
        assert path.is_file()
        assert test is None or test in functions(path)


def test_the_table_is_read() -> None:
    assert len(ROWS) > 30
