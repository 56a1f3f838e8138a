"""Writes the generated pages of docs/: `python -m exporter.docs`. Never part of a running exporter."""

from collections.abc import Callable, Mapping
from pathlib import Path

from .config.document import configuration_markdown

FOLDER = Path(__file__).parent.parent / "docs"


def _metrics() -> str:
    from .metrics.document import metrics_markdown

    return metrics_markdown()


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration_markdown,
    "metrics.md": _metrics,
}


def main() -> None:
    """Write every page anew."""
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")


if __name__ == "__main__":
    main()
