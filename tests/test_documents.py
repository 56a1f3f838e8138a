"""The generated pages are what the code would write now."""

from exporter.config.document import configuration_markdown
from exporter.docs import FOLDER


def test_the_page_of_options_is_as_the_code_writes_it() -> None:
    assert (FOLDER / "configuration.md").read_text("utf-8") == configuration_markdown()
