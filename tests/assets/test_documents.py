"""The generated documents are what the code would write now."""

import pytest

from tools.documents import DOCUMENTS, is_stale
from tools.markdown import replace_tables

PAGE = "Before.\n\n<!-- generated: some table -->\nold\n<!-- end of some table -->\n\nAfter.\n"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_generated_document_is_up_to_date(path: str) -> None:
    assert not is_stale(path), f"{path} is out of date: run `make generate` and commit the result."


def test_a_table_replaces_what_is_between_its_marks_and_nothing_else() -> None:
    page = replace_tables(PAGE, {"some table": "| new |\n"})
    assert page == PAGE.replace("old\n", "\n| new |\n\n")
    assert replace_tables(page, {"some table": "| new |\n"}) == page


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        (PAGE, {}),
        (PAGE, {"some table": "", "another": ""}),
        (PAGE.replace("<!-- end of some table -->\n", ""), {"some table": ""}),
        (PAGE.replace("some table", "a table nobody writes"), {"some table": ""}),
        (PAGE + PAGE, {"some table": ""}),
    ],
)
def test_a_page_whose_marks_do_not_fit_its_tables_is_refused(page: str, tables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="The page"):
        replace_tables(page, tables)
