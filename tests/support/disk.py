"""A disk that is full, as a ledger sees it."""

from exporter.ledger import Ledger


def fill_up(ledger: Ledger) -> None:
    """Let the disk be full: no page more than there are."""
    pages = ledger._read("PRAGMA page_count")[0][0]
    ledger._read(f"PRAGMA max_page_count = {pages}")


def make_room(ledger: Ledger) -> None:
    """Let the disk have room again."""
    ledger._read("PRAGMA max_page_count = 1000000")
