"""Tables in Markdown, and their places in a page that is otherwise written by hand.

A page marks each place by `<!-- generated: NAME -->` and `<!-- end of NAME -->`; what is between them is replaced.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that ends with a newline."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _lines(heads, rows))


def code(words: Iterable[str]) -> str:
    """Return words as inline code, separated by spaces."""
    return " ".join(f"`{word}`" for word in words)


def replace_tables(page: str, tables: Mapping[str, str]) -> str:
    """Replace the marked parts of a page; raises ValueError if marks and tables differ."""
    marked = re.findall(r"^<!-- generated: (.+) -->$", page, re.MULTILINE)
    if sorted(marked) != sorted(tables):
        raise ValueError(f"The page marks {sorted(marked)}, but the tables are {sorted(tables)}.")
    for name, text in tables.items():
        page = _replace(page, name, text)
    return page


def _replace(page: str, name: str, text: str) -> str:
    start, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"The page has no `{end.strip()}`.")
    return f"{before}{start}\n{text}\n{end}{after}"


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield heads
    yield ("---",) * len(heads)
    yield from rows
