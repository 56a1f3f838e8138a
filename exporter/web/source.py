"""What the web server serves, and what it tells of that: one Protocol, kept by whoever has a picture to show."""

from typing import Protocol, TypeVar

from ..metrics.negotiation import Format
from ..metrics.vocabulary import Answer
from ..published import Scrape
from .landing import Landing

P = TypeVar("P")
"""A picture: whatever is published. The web server only hands it back."""


class Source(Protocol[P]):
    """What is served. The web thread calls it, so nothing here may wait."""

    def scrape(self, counts: bool, /) -> Scrape:
        """Start or join a poll. `counts`: Prometheus asks, as its time-out header says."""

    def picture(self) -> P:
        """Give the newest picture."""

    def answered(self, answer: Answer, picture: P, counts: bool, /) -> None:
        """Note what was served. `counts`: Prometheus was given this very picture, whole."""

    def render(self, picture: P, form: Format, /) -> bytes:
        """Write an exposition."""

    def ready(self) -> str | None:
        """Say in a sentence what is missing; None when nothing is."""

    def landing(self) -> Landing:
        """Give the figures of the page for people."""
