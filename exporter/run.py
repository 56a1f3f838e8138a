"""What each command does, once its configuration is known to be right. Each returns the exit code."""

from .config import DemoSettings, Settings


def serve(settings: Settings) -> int:
    """Answer scrapes until told to stop."""
    raise NotImplementedError


def check(settings: Settings) -> int:
    """Say in plain words what the server is and holds."""
    raise NotImplementedError


def once(settings: Settings) -> int:
    """Walk once, and write the metrics to stdout."""
    raise NotImplementedError


def demo(settings: DemoSettings) -> int:
    """Answer scrapes of a simulated network of payers."""
    raise NotImplementedError
