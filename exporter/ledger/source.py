"""The source a ledger belongs to: one FHIR server and one selection of Tasks, and how two sources differ.

Pure: what is stored is read and written in `state`, and judged in `validate`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from ..task.model import Coding, Selection

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Binding:
    """The source a ledger belongs to: numbers of two servers, or of two selections, must never mix."""

    url: str
    selection: Selection

    @property
    def digest(self) -> str:
        """A fingerprint: a further search parameter could hold an identifier, so the text itself is not kept."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @property
    def _text(self) -> str:
        """Spell the source exactly as every released version did: ledgers hold the digest of this text."""
        tag, code = _coding_text(self.selection.tag), _coding_text(self.selection.code)
        search = tuple((name, value) for name, value in self.selection.search)
        return f"({self.url.rstrip('/')!r}, Selection(tag={tag}, code={code}, search={search!r}))"

    @property
    def parts(self) -> "SourceParts":
        """What may be shown of it."""
        names = tuple(name for name, _ in self.selection.search)
        return SourceParts(self.url.rstrip("/"), _token(self.selection.tag), _token(self.selection.code), names)


def _coding_text(coding: Coding | None) -> str:
    return "None" if coding is None else f"Coding(system={coding.system!r}, code={coding.code!r})"


def _token(coding: Coding | None) -> str | None:
    return None if coding is None else f"{coding.system}|{coding.code}"


class SourceParts(NamedTuple):
    """What a ledger says of its source beside the digest. `search` has the names of parameters, never their values.

    The URL is a FHIR base: `--fhir.url` takes no user, query or fragment.
    """

    url: str
    tag: str | None
    code: str | None
    search: tuple[str, ...]

    @classmethod
    def from_json(cls, text: str) -> "SourceParts":
        """Read what `to_json` wrote."""
        url, tag, code, search = json.loads(text)
        return cls(url, tag, code, tuple(search))

    def to_json(self) -> str:
        """Write the fields as an array, in their order: ledgers hold them so."""
        return json.dumps(self)

    @property
    def server(self) -> str:
        """Host and port."""
        return host_and_port(self.url)

    @property
    def selection(self) -> str:
        """Which Tasks are counted, in words."""
        names = ", ".join(dict.fromkeys(self.search))
        further = f", search parameters {names} (values are not kept)" if names else ""
        return f"tag {self.tag or 'any'}, code {self.code or 'any'}{further}"


def host_and_port(url: str) -> str:
    """Name a server without its path; the port is never left out."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def same_selection(known: SourceParts, digest: str, asked: Binding) -> bool:
    """Whether a source with this digest differs from the one asked for in nothing but its URL, values included."""
    return Binding(known.url, asked.selection).digest == digest


def differences(known: SourceParts, digest: str, asked: Binding) -> str:
    """Say in what a ledger's source differs from the one asked for: both servers, and options by name."""
    parts = asked.parts
    return "; ".join([*_servers(known, parts), *_selections(known, parts, same_selection(known, digest, asked))])


def _servers(known: SourceParts, asked: SourceParts) -> Iterator[str]:
    if known.server != asked.server:
        yield f"it was made for the FHIR server {known.server}, and --fhir.url names {asked.server}"
    elif known.url != asked.url:
        yield f"it was made for another path or scheme of --fhir.url on {known.server}"
    else:
        yield f"it was made for another selection of Tasks on {known.server}"


def _selections(known: SourceParts, asked: SourceParts, same: bool) -> Iterator[str]:
    """Name the options that differ. Values of search parameters are only in the digest."""
    found = [f"--fhir.{name}" for name in ("tag", "code") if getattr(known, name) != getattr(asked, name)]
    if known.search != asked.search:
        found.append(f"--fhir.search (then {_names(known)}, now {_names(asked)})")
    elif not same and not found:
        found.append(f"--fhir.search (values of {_names(asked)})")
    if found:
        yield f"different: {', '.join(found)}"


def _names(parts: SourceParts) -> str:
    return ", ".join(parts.search) or "none"
