"""The body of an answer, read with limits: bytes on the wire, bytes inflated, and one coding at most.

httpx's own decoding has no bound: 6,777 bytes under `gzip, gzip` became 4 GiB (measured). Nothing here reads JSON.
Decoded, each part of a list becomes an object of its own: 16 MiB of `0,` would be 700.

See docs/design.md#limits.
"""

import zlib
from collections.abc import Iterable, Iterator

from ..errors import NotFhir, TooLarge, Truncated

CAP = 16 * 1024 * 1024
"""Bytes of one answer, on the wire and inflated. A page of 200 full Tasks has about one; with `_elements` 0.2."""

PARTS = 1_000_000
"""Commas of one answer. FHIR's own examples have one for each 62 bytes, so that 16 MiB of them have 270,000; a million
of msgspec's Raw are 80 MiB."""

_STEP = 256 * 1024


def read_body(chunks: Iterable[bytes], codings: Iterable[str], cap: int = CAP) -> bytes:
    """Put a body together; raises TooLarge, Truncated, or NotFhir for a coding that we did not ask for."""
    wanted = [coding.strip().lower() for coding in codings]
    if wanted not in ([], ["identity"], ["gzip"]):
        raise NotFhir("The answer has a content coding that was not asked for.")
    raw = _capped(chunks, cap)
    body = bytearray()  # not a list to join: in pieces of two bytes that would be thirty times the cap
    for piece in _capped(_inflated(raw) if wanted == ["gzip"] else raw, cap):
        body += piece
    if body.count(b",") > PARTS:
        raise TooLarge("The answer has more parts than an answer may have.")
    return bytes(body)


def _capped(pieces: Iterable[bytes], cap: int) -> Iterator[bytes]:
    for piece in pieces:
        cap -= len(piece)
        if cap < 0:
            raise TooLarge("The answer is larger than an answer may be.")
        yield piece


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    gz = zlib.decompressobj(wbits=31)
    for received in chunks:
        chunk = received
        while chunk:
            if gz.eof:
                raise NotFhir("There is data after the end of the gzip stream.")
            yield _inflate(gz, chunk)
            chunk = gz.unconsumed_tail or gz.unused_data
    if not gz.eof:
        raise Truncated("The answer ends before its gzip does.")


def _inflate(gz: "zlib._Decompress", chunk: bytes) -> bytes:
    try:
        return gz.decompress(chunk, _STEP)
    except zlib.error as error:
        raise NotFhir("The answer is not the gzip that it says it is.") from error
