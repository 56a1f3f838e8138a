"""Reads from PromQL what the tests of rules, dashboard and runbooks need: its selectors, and the calls around each.

Not a parser: promtool checks the grammar. Labels of an aggregation are read before its parenthesis only.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<duration>\d+(?:ms|[smhdwy])\b)|(?P<number>\d+(?:\.\d+)?)'
    r"|(?P<name>[A-Za-z_:][\w:]*)|(?P<mark>[=!]~|[=!<>]=|[^\s])"
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
AGGREGATIONS = frozenset(
    {"sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"}
)
WORDS = GROUPING | {"and", "or", "unless", "bool", "offset"}


class Matcher(NamedTuple):
    label: str
    operator: str
    value: str


class Call(NamedTuple):
    """A function or aggregation; `labels` are those of its `by`, None where it has none."""

    name: str
    labels: tuple[str, ...] | None = None


class Selector(NamedTuple):
    """`around` are the functions and aggregations around it, the innermost first; `range` is empty without one."""

    metric: str
    matchers: tuple[Matcher, ...]
    range: str
    around: tuple[Call, ...]

    @property
    def calls(self) -> tuple[str, ...]:
        return tuple(call.name for call in self.around)


class Token(NamedTuple):
    kind: str
    text: str


def tokens(expression: str) -> list[Token]:
    return [Token(str(found.lastgroup), found[0]) for found in TOKEN.finditer(expression)]


def numbers(expression: str) -> set[float]:
    return {float(token.text) for token in tokens(expression) if token.kind == "number"}


def groupings(expression: str) -> list[tuple[str, tuple[str, ...]]]:
    """List `by (job, …)`, `on (…)` and the like, in order."""
    stream = tokens(expression)
    return [
        (token.text, tuple(_names(stream, place + 1)))
        for place, token in enumerate(stream)
        if token.text in GROUPING and stream[place + 1].text == "("
    ]


def labels(expression: str) -> set[str]:
    """Return all labels named by `by`, `on` and the like."""
    return {label for _, named in groupings(expression) for label in named}


def selectors(expression: str) -> list[Selector]:
    stream = tokens(expression)
    found: list[Selector] = []
    around: list[Call] = []
    called, place = Call(""), 0
    while place < len(stream):
        kind, text = stream[place]
        follower = stream[place + 1].text if place + 1 < len(stream) else ""
        if text in GROUPING:
            if text == "by":
                called = called._replace(labels=tuple(_names(stream, place + 1)))
            place = _end(stream, place, ")")
        elif text == "(":
            around, called = [called, *around], Call("")
        elif text == ")":
            around = around[1:]
        elif text == "[":
            place = _end(stream, place, "]")
        elif kind == "name" and (follower == "(" or follower in GROUPING):
            called = Call(text)
        elif kind == "name" and text not in WORDS:
            selector, place = _selector(stream, place, tuple(call for call in around if call.name))
            found.append(selector)
            continue
        place += 1
    return found


def _selector(stream: list[Token], place: int, around: tuple[Call, ...]) -> tuple[Selector, int]:
    metric, place = stream[place].text, place + 1
    matchers: tuple[Matcher, ...] = ()
    span = ""
    if place < len(stream) and stream[place].text == "{":
        end = _end(stream, place, "}")
        matchers, place = tuple(_matchers(stream[place + 1 : end])), end + 1
    if place < len(stream) and stream[place].text == "[":
        end = _end(stream, place, "]")
        span, place = "".join(token.text for token in stream[place + 1 : end]), end + 1
    return Selector(metric, matchers, span, around), place


def _matchers(stream: list[Token]) -> Iterator[Matcher]:
    kept = [token.text for token in stream if token.text != ","]
    for label, operator, value in zip(kept[::3], kept[1::3], kept[2::3], strict=True):
        yield Matcher(label, operator, value.strip('"'))


def _names(stream: list[Token], place: int) -> Iterator[str]:
    return (token.text for token in stream[place : _end(stream, place, ")")] if token.kind == "name")


def _end(stream: list[Token], place: int, mark: str) -> int:
    return next(end for end in range(place, len(stream)) if stream[end].text == mark)
