"""Regular expressions of the operator: compiled, and refused where a text could keep them busy for long.

Python's matcher tries every way to divide a text among the repeats of a pattern. A repeated group that itself repeats,
or has alternatives, makes that exponential; a few plain repeats cost a power of the text's length, which is bounded.
"""

import re

from .values import InvalidValue

MOST_REPEATS = 3
"""Repeats of no fixed number in a pattern: the length of a text to this power is the cost at worst."""

TOO_SLOW = (
    f"could take very long: use at most {MOST_REPEATS} repeats such as * or +, "
    "and none of a group that repeats something or has alternatives"
)

_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
"""What counts as one character: an escape, a class."""
_GROUP_START = re.compile(r"\(\?(?:P<\w+>|<[=!]|[:=!>]|[A-Za-z-]*:?)")
_FIXED_COUNT = re.compile(r"(?<!\))\{\d+\}")
_REPEAT = re.compile(r"(?:[*+]|\{\d*,\d*\})[?+]?")
_INNERMOST_GROUP = re.compile(r"\(([^()]*)\)([*+]|\{\d*,?\d*\})?")
_VARIES = re.compile(r"[*+?{|]")


def quick(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Compile a pattern that takes no long time on any text of bounded length. Raises InvalidValue."""
    try:
        pattern = re.compile(text, flags)
    except (re.error, RecursionError, OverflowError):
        raise InvalidValue("is not a valid Python regular expression") from None
    if _may_be_slow(text):
        raise InvalidValue(TOO_SLOW)
    return pattern


def _may_be_slow(text: str) -> bool:
    """Judge a valid pattern, rather too strictly than not: characters become `a`, and groups are read inside out."""
    plain = _FIXED_COUNT.sub("", _GROUP_START.sub("(", _ATOM.sub("a", text)))
    if len(_REPEAT.findall(plain)) > MOST_REPEATS:
        return True
    while group := _INNERMOST_GROUP.search(plain):
        varies = _VARIES.search(group[1]) is not None
        if varies and group[2]:
            return True
        plain = plain[: group.start()] + ("a?" if varies or group[2] else "a") + plain[group.end() :]
    return False
