"""The ledger: what the exporter remembers, in one SQLite file. The only place with SQL."""

from .file import watched
from .ledger import Ledger
from .open import open_ledger, rebind_ledger
from .source import Binding
from .validate import Owner

__all__ = ["Binding", "Ledger", "Owner", "open_ledger", "rebind_ledger", "watched"]
