"""What scenarios share."""

import logging
from collections.abc import Iterator

import pytest

from ..support.log_lines import Logs


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Keep all that is logged meanwhile, at level debug."""
    kept, root = Logs(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    for handler in kept.handlers:
        root.addHandler(handler)
    yield kept
    root.setLevel(level)
    for handler in kept.handlers:
        root.removeHandler(handler)
