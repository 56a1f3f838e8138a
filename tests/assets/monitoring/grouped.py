"""Reads PromQL where it matters which labels are kept: every series asked for, and the calls around it with their `by`.

No parser: promtool has one. It wants `sum by (…) (…)`, labels before the parenthesis, and rejects what it cannot read.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<duration>\$__\w+|\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*(?![\w.]))
    | (?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)
    | (?P<name>[A-Za-z_:][\w:]*)
    | (?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],:@])
    )""",
    re.VERBOSE,
)
WORDS = frozenset(
    {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"}
)
AGGREGATIONS = frozenset(
    {"sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"}
)
RATES = frozenset({"rate", "irate", "increase"})


class Call(NamedTuple):
    """A function or aggregation; `labels` are those of its `by`, None where it has none."""

    name: str
    labels: tuple[str, ...] | None


class Matcher(NamedTuple):
    label: str
    operator: str
    value: str


class Selector(NamedTuple):
    """A series that is asked for; `calls` are those around it, outermost first."""

    metric: str
    matchers: tuple[Matcher, ...]
    window: str | None
    calls: tuple[Call, ...]

    @property
    def inside(self) -> frozenset[str]:
        return frozenset(call.name for call in self.calls)


class Expression(NamedTuple):
    selectors: tuple[Selector, ...]
    labels: frozenset[str]
    """All labels named by `by`, `on` and the like."""


class Unreadable(ValueError):
    """What stands there is beyond this reader."""


def read(text: str) -> Expression:
    return _Reader(text).expression()


def tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise Unreadable(f"cannot read {text[at : at + 30]!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = [*tokens(text), ("end", "")]
        self._at = 0
        self._calls: list[Call] = []
        self._found: list[Selector] = []
        self._labels: set[str] = set()

    def expression(self) -> Expression:
        while self._peek()[0] != "end":
            kind, value = self._next()
            if kind == "name":
                self._name(value)
            elif value == "(":
                self._calls.append(Call("", None))
            elif value == ")":
                self._close()
        return Expression(tuple(self._found), frozenset(self._labels))

    def _close(self) -> None:
        self._calls.pop()
        if self._peek()[1] in {"by", "without"}:
            raise Unreadable("write the labels before the parenthesis")

    def _name(self, name: str) -> None:
        if name in AGGREGATIONS:
            self._open(name, self._grouping())
        elif name in WORDS:
            if self._peek()[1] == "(" and name not in {"and", "or", "unless", "bool"}:
                self._labels.update(self._list())
        elif self._peek()[1] == "(":
            self._open(name, None)
        else:
            self._found.append(Selector(name, self._matchers(), self._window(), self._around()))

    def _open(self, name: str, labels: tuple[str, ...] | None) -> None:
        self._expect("(")
        self._calls.append(Call(name, labels))

    def _around(self) -> tuple[Call, ...]:
        return tuple(call for call in self._calls if call.name)

    def _grouping(self) -> tuple[str, ...] | None:
        if self._peek()[1] == "without":
            raise Unreadable("without keeps labels that nobody thought of: use by")
        if self._peek()[1] != "by":
            return None
        self._next()
        labels = self._list()
        self._labels.update(labels)
        return labels

    def _list(self) -> tuple[str, ...]:
        self._expect("(")
        labels = []
        while (token := self._next())[1] != ")":
            if token[0] == "name":
                labels.append(token[1])
        return tuple(labels)

    def _matchers(self) -> tuple[Matcher, ...]:
        if self._peek()[1] != "{":
            return ()
        self._next()
        found = []
        while (token := self._next())[1] != "}":
            if token[0] == "name":
                operator, value = self._next()[1], self._next()[1]
                found.append(Matcher(token[1], operator, value[1:-1]))
        return tuple(found)

    def _window(self) -> str | None:
        if self._peek()[1] != "[":
            return None
        self._next()
        window = self._next()[1]
        while self._next()[1] != "]":
            pass
        return window

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _expect(self, mark: str) -> None:
        if self._next()[1] != mark:
            raise Unreadable(f"expected {mark}")
