"""Which names of payers may mean one payer: they differ by case, punctuation or legal form, or name a plan of it.

The first is nearly always so. The second is a question for a person: `Contoso of Ohio` and `Contoso of Utah` may be two
companies.
"""

import re
import unicodedata

_LEGAL_FORMS = frozenset(
    {
        *("inc", "incorporated", "llc", "lc", "corp", "corporation", "co", "company", "ltd", "limited", "lp", "llp"),
        *("plc", "pc", "pbc", "the"),
    }
)
_COMMON_WORDS = frozenset(
    {
        *("health", "healthcare", "care", "plan", "plans", "insurance", "medical", "dental", "mutual", "community"),
        *("network", "partners", "group", "services", "system", "systems", "department", "state", "county", "bureau"),
        *("medicaid", "medicare", "blue", "cross", "shield", "bluecross", "blueshield", "bcbs", "and", "university"),
    }
)
"""Words that name no company: what has no others in front of `of` is no common name of its plans."""


def spelling(name: str) -> str:
    """Reduce a name to what case, punctuation and legal form do not change."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    words = re.sub(r"[^\w\s]|_", " ", re.sub(r"['.\u2019]", "", folded)).split()
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return " ".join(kept or words)


def insurer(name: str) -> str | None:
    """Return the spelling of whose plan a name may be, as in `Contoso Health Plan of Ohio`; None if it names none."""
    before, of, _ = spelling(name).partition(" of ")
    words = before.split()
    while words and words[-1] in {"plan", "plans"}:
        words.pop()
    if (not of and len(words) == len(before.split())) or set(words) <= _COMMON_WORDS:
        return None
    return " ".join(words)
