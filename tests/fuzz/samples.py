"""The official examples that the tests have, compact."""

import json
from collections.abc import Iterator
from pathlib import Path

HL7 = Path(__file__).parent.parent / "support" / "samples" / "hl7"
LONGEST = 4096
"""Bytes. A longer example costs more time than it covers code."""


def samples() -> Iterator[bytes]:
    """Yield them without their narratives, the long ones left out."""
    for path in sorted(HL7.glob("*.json")):
        resource = json.loads(path.read_text())
        resource.pop("text", None)
        body = json.dumps(resource, separators=(",", ":")).encode()
        if len(body) <= LONGEST:
            yield body
