"""What most tests of `check` begin with."""

import pytest

from .case import Case


@pytest.fixture
def case(capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(capsys)
