"""The ledger: what the exporter remembers, in one SQLite file. The only place with SQL."""

from .ledger import Ledger
from .open import open_ledger
from .source import Binding

__all__ = ["Binding", "Ledger", "open_ledger"]
