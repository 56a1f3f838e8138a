"""Settings as an operator gets them, with the text of a file instead of its path."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.config import Settings, load_settings


def load_with_file(flags: Mapping[str, Sequence[str]], environment: Mapping[str, str], text: str = "") -> Settings:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text, "utf-8")
        return load_settings({**flags, "config.file": [str(path)]}, environment)
