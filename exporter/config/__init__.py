"""What an operator decides: from flags, environment variables and a file to one frozen Settings, or to every problem.

`options` has a row for each option, `groups` their headings, `values` a parser for each kind of value, `load` decides
which source wins, and `yaml_file` and `tables` read the file. Nothing outside this package sees YAML, flags or the
environment.
"""

from .calendar import make_calendar
from .changes import Changes, find_changes
from .fields import Option
from .groups import group_of, grouped
from .load import (
    Flags,
    load_demo_settings,
    load_ledger_settings,
    load_once_settings,
    load_reasons_settings,
    load_settings,
    names_file,
    unknown_variables,
)
from .options import (
    CONFIG_FILE,
    DEMO_OPTIONS,
    LEDGER_OPTIONS,
    ONCE_OPTIONS,
    OPTIONS,
    REBIND_OPTIONS,
    WATCH_OPTIONS,
    BatchJobsSettings,
    DemoSettings,
    FhirSettings,
    LedgerSettings,
    LogSettings,
    PollSettings,
    ReasonsSettings,
    ReconcileSettings,
    Settings,
    WebSettings,
)
from .values import DeadlineLength

__all__ = [
    "CONFIG_FILE",
    "DEMO_OPTIONS",
    "LEDGER_OPTIONS",
    "ONCE_OPTIONS",
    "OPTIONS",
    "REBIND_OPTIONS",
    "WATCH_OPTIONS",
    "BatchJobsSettings",
    "Changes",
    "DeadlineLength",
    "DemoSettings",
    "FhirSettings",
    "Flags",
    "LedgerSettings",
    "LogSettings",
    "Option",
    "PollSettings",
    "ReasonsSettings",
    "ReconcileSettings",
    "Settings",
    "WebSettings",
    "find_changes",
    "group_of",
    "grouped",
    "load_demo_settings",
    "load_ledger_settings",
    "load_once_settings",
    "load_reasons_settings",
    "load_settings",
    "make_calendar",
    "names_file",
    "unknown_variables",
]
