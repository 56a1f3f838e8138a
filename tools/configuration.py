"""The tables of docs/configuration.md, generated from the options."""

from collections.abc import Iterable, Mapping

from exporter.config import CONFIG_FILE, DEMO_OPTIONS, OPTIONS, Option, grouped

from .markdown import table


def tables() -> Mapping[str, str]:
    """Write every table of the page, by name."""
    return {
        "options": "\n".join(f"### {title}\n\n{_table(rows)}" for title, rows in grouped((CONFIG_FILE, *OPTIONS))),
        "demo options": _table(option for option in DEMO_OPTIONS if option not in OPTIONS),
    }


def _table(options: Iterable[Option]) -> str:
    return table(("option", "default", "meaning"), map(_row, options))


def _row(option: Option) -> tuple[str, str, str]:
    flag = f"{option.flag} {option.metavar}" if not option.switch else _switch_flag(option)
    meaning = option.help + (" May be repeated." if option.repeatable else "")
    return f"`{_cell(flag)}`", _default(option), f"{meaning}<br>`{option.variable}`"


def _switch_flag(option: Option) -> str:
    """Return the flag that changes something; both where it is on, so that `on` does not read as the negative."""
    return f"{option.flag} / {option.off_flag}" if option.on_by_default else option.flag


def _default(option: Option) -> str:
    if option.required:
        return "**required**"
    if option.switch:
        return "on" if option.on_by_default else "off"
    default = f"`{_cell(option.default)}`" if option.default else "none"
    return f"{default} ({option.allowed})" if option.allowed else default


def _cell(text: str) -> str:
    """Escape a bar, which would end the cell on GitHub even in code."""
    return text.replace("|", "\\|")
