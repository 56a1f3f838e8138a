"""The ledger: what the exporter remembers, in one SQLite file. The only place with SQL."""

from .files import open_ledger
from .judge import Binding
from .store import Ledger

__all__ = ["Binding", "Ledger", "open_ledger"]
