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
    reload_settings,
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
    OAuth2Settings,
    PollSettings,
    ReasonsSettings,
    ReconcileSettings,
    Settings,
    WebSettings,
)
from .permissions import ExposedFile, exposed_files
from .values import DeadlineLength, is_loopback
from .web_config import WebConfig

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
    "ExposedFile",
    "FhirSettings",
    "Flags",
    "LedgerSettings",
    "LogSettings",
    "OAuth2Settings",
    "Option",
    "PollSettings",
    "ReasonsSettings",
    "ReconcileSettings",
    "Settings",
    "WebConfig",
    "WebSettings",
    "exposed_files",
    "find_changes",
    "group_of",
    "grouped",
    "is_loopback",
    "load_demo_settings",
    "load_ledger_settings",
    "load_once_settings",
    "load_reasons_settings",
    "load_settings",
    "make_calendar",
    "names_file",
    "reload_settings",
    "unknown_variables",
]
