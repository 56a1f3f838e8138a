"""The manifest of a bulk export, counted: how many files of which resource type.

Addresses of files, and the request, are never read. Resource types become labels, so they are bounded in form and
in number.

Sources: HL7 Bulk Data 3.0.0 export.html, 4.0.0-ballot; HAPI 8.8.0, measured.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Raw
from msgspec.json import Decoder

from . import fhir_json
from .dates import parse_instant
from .fhir_json import decode_or_none
from .model import Instant

UNKNOWN_TYPE = "unknown"
MAX_TYPES = 150
"""Different resource types of one list; FHIR R4 has 148. Later ones count as unknown."""
LARGEST_COUNT = 10**15
"""Larger numbers are no counts, and no float could hold some of them."""

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,40}")
_MANIFEST = Decoder(fhir_json.ExportManifest)
_FILE = Decoder(fhir_json.ManifestFile)
_TEXT = Decoder(str)
_COUNT = Decoder(int)
_SEVERITIES = Decoder(dict[str, int])
_BAD = ("error", "fatal")

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was exported. `files` and `error_files` are counts of files by resource type, `unknown` where none is given.

    `resources` sums the counts of resources in the files that give one. `more` says that there are further pages of
    the manifest, which are not read.
    """

    transaction_time: Instant | None = None
    files: Counts = field(default_factory=dict)
    resources: Counts = field(default_factory=dict)
    error_files: Counts = field(default_factory=dict)
    deleted_files: int = 0
    more: bool = False


def decode_manifest(body: bytes) -> Manifest | None:
    """Read a manifest; None where the body is something else. A file that cannot be read counts as `unknown`."""
    read = decode_or_none(body, _MANIFEST)
    if read is None or read.resource_type is not None or (read.output is None and read.transaction_time is None):
        return None
    files = _files(read.output)
    problems = [file for file in _files([*(read.error or ()), *(read.outcome or ())]) if not _is_harmless(file)]
    return Manifest(
        transaction_time=parse_instant(read.transaction_time),
        files=_sums((file.type, 1) for file in files),
        resources=_sums((file.type, count) for file in files if (count := _count(file)) is not None),
        error_files=_sums((file.type, 1) for file in problems),
        deleted_files=len(read.deleted or ()),
        more=any(link.relation == "next" for link in read.link or ()),
    )


def _files(entries: list[Raw] | None) -> list[fhir_json.ManifestFile]:
    return [decode_or_none(entry, _FILE) or fhir_json.ManifestFile() for entry in entries or ()]


def _sums(numbers: Iterable[tuple[Raw, int]]) -> Counts:
    sums: dict[str, int] = {}
    for raw, number in numbers:
        word = _type(raw)
        if word not in sums and len(sums) >= MAX_TYPES:
            word = UNKNOWN_TYPE
        sums[word] = sums.get(word, 0) + number
    return sums


def _type(raw: Raw) -> str:
    word = decode_or_none(raw, _TEXT) or ""
    return word if _TYPE.fullmatch(word) else UNKNOWN_TYPE


def _count(file: fhir_json.ManifestFile) -> int | None:
    count = decode_or_none(file.count, _COUNT)
    return count if count is not None and 0 <= count <= LARGEST_COUNT else None


def _is_harmless(file: fhir_json.ManifestFile) -> bool:
    """Whether a file of outcomes says that none of them is an error; one that says nothing counts as one that has."""
    severities = decode_or_none(file.count_severity, _SEVERITIES)
    return severities is not None and not any(severities.get(word) for word in _BAD)
