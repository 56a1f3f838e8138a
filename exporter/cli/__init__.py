"""The command line: the commands, how they fail and exit (`command`), and what click knows of options (`options`).

click reads words; `config` validates them together with the environment and the file, and reports every problem in one
list. Usage errors, such as an unknown option, are click's: docs/decisions/0022-options-are-resolved-without-click.md.

See docs/design.md#commands, docs/design.md#exit-codes.
"""

from .commands import main

__all__ = ["main"]
