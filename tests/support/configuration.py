"""Settings as an operator gets them, with the text of a file instead of its path, and the problems of wrong ones."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.config import Settings, load_settings
from exporter.errors import ConfigurationError
from exporter.task.payer_table import PayerTable

URL = "https://cdr.example.org/fhir"
PREFIX = "FHIR_TASK_EXPORTER_"
CANARY = "hunter2canary"


def load_with_file(flags: Mapping[str, Sequence[str]], environment: Mapping[str, str], text: str = "") -> Settings:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text, "utf-8")
        return load_settings({**flags, "config.file": [str(path)]}, environment)


def settings(yaml: str = "", **flags: str) -> Settings:
    """Load a URL, these flags and this file."""
    return load_with_file({"fhir.url": [URL]} | {name: [text] for name, text in flags.items()}, {}, yaml)


def payer_table(yaml: str) -> PayerTable:
    """Load what stands below `payers:`."""
    return settings(f"payers:\n{yaml}\n").payers


def problems(load: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load()
    return caught.value.problems


def flag_problems(**flags: str) -> tuple[str, ...]:
    return problems(lambda: settings(**flags))


def file_problems(yaml: str) -> tuple[str, ...]:
    return problems(lambda: settings(yaml))
