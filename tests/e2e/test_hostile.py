"""Every case of the hostile server's table, on real processes; `make hostile` prints what this only asserts."""

import shutil
import time

import pytest

from ..support.canaries import canary
from .program import skip_or_fail

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FEWEST = 120


def test_no_hostile_answer_stops_it_or_makes_it_miscount_or_tell_a_secret() -> None:
    if shutil.which("openssl") is None:
        skip_or_fail("openssl is not installed: certificates are made with it")
    from ..hostile.cases import CASES  # here: the table takes a second to make, and most runs do not need it
    from ..hostile.corpus import run
    from ..hostile.table import line, summary

    assert len({case.name for case in CASES}) == len(CASES) >= FEWEST
    began = time.monotonic()
    seen = run(CASES)
    figures = summary(seen, time.monotonic() - began)
    assert [line(each) for each in seen if each.faults] == [], figures
    assert len(seen) == len(CASES)


def test_a_canary_that_is_shown_is_found() -> None:
    """The name of a payer is shown, so that one that is a canary must be found in the page and in the ledger."""
    from ..hostile.cases.tasks import named, organization
    from ..hostile.corpus import run

    (seen,) = run([organization("a name that is a canary", named(canary("planted")))])
    assert {hit.partition(":")[0] for hit in seen.hits} >= {"/metrics", "ledger.db-wal"}
    assert seen.faults
