"""Asks promtool whether Prometheus accepts a text."""

import os
import shutil
import subprocess

import pytest


def complaints(text: bytes) -> str:
    """Ask `promtool check metrics`, which reads text 0.0.4 only; empty means that it has no complaint.

    Without promtool the test is skipped on a laptop, and fails where CI says that it is CI.
    """
    promtool = shutil.which("promtool")
    if promtool is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed: `apt-get install prometheus` brings it")
    assert promtool, "CI needs promtool: `apt-get install prometheus` brings it"
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    return (checked.stdout + checked.stderr).decode() or "exit code" * (checked.returncode != 0)
