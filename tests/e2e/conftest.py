"""How these tests are spread over processes: they wait more than they compute, so that two run in little more than half
the time. Tests that share a server stay together.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a file into one group, and into one for each kind of server where a file tries several.

    See pytest-xdist, `--dist loadgroup`.
    """
    for item in items:
        kind = item.callspec.id if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ""
        group = f"{item.path.stem}-{kind}" if item.path.stem == "test_hapi_life" else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
