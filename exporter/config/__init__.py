"""What an operator decides: from flags, variables and a file to one frozen Settings, or to all faults at once.

`settings` holds the table of options, `parsers` how a text becomes a value, `file` and `tables` the YAML file,
`checks` what must hold between options, `gather` which source wins. Nothing outside this package sees YAML, flags or
the environment.
"""

from .gather import CONFIG_FILE, Flags, gather, gather_demo, load, unknown_variables
from .option import Option
from .parsers import Address
from .settings import (
    DEMO_OPTIONS,
    OPTIONS,
    DemoSettings,
    FhirSettings,
    LogSettings,
    PollSettings,
    ReconcileSettings,
    Settings,
    WebSettings,
)

__all__ = [
    "CONFIG_FILE",
    "DEMO_OPTIONS",
    "OPTIONS",
    "Address",
    "DemoSettings",
    "FhirSettings",
    "Flags",
    "LogSettings",
    "Option",
    "PollSettings",
    "ReconcileSettings",
    "Settings",
    "WebSettings",
    "gather",
    "gather_demo",
    "load",
    "unknown_variables",
]
