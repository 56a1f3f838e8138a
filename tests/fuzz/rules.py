"""What every target demands: our own errors only, and no word of theirs from the input."""

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from exporter.config.options import OPTIONS
from exporter.errors import ExporterError

PACKAGE = Path(__file__).parent.parent.parent / "exporter"

SHORTEST_SECRET = 8
"""Characters of a value that are looked for in messages: fewer are there by chance, where two texts of ours meet."""
_EDGES = " \t\r\n-:;,.()'\"$"


class BrokenRuleError(AssertionError):
    """A rule does not hold for this input."""


def demand(holds: object, rule: str) -> None:
    """Stop at a rule that does not hold."""
    if not holds:
        raise BrokenRuleError(rule)


def caught(call: Callable[[], object], *kinds: type[ExporterError]) -> ExporterError | None:
    """Return the error of a call, which must be of one of these kinds; None if there is none."""
    try:
        call()
    except kinds as error:
        return error
    return None


def demand_silence(error: BaseException, values: Iterable[str]) -> None:
    """Look for values of the input in what a log or a person would be shown of an error, its causes included."""
    said = _said(error).lower()
    for value in values:
        text = value.strip(_EDGES).lower()
        if len(text) >= SHORTEST_SECRET and text in said and text not in our_words():
            raise BrokenRuleError("a message repeats a value of the input")


def _said(error: BaseException | None) -> str:
    if error is None:
        return ""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{error} {_said(before)}"


@cache
def our_words() -> str:
    """Every text in our own code: to find one of them in a message is no leak."""
    constants = (node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    texts = {node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = {name for option in OPTIONS for name in (option.flag, option.variable)}
    return "\n".join(sorted(texts | names)).lower()
