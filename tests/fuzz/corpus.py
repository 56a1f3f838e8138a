"""What is kept of earlier runs: a line an input in `corpus/TARGET.txt`, and whole files in `found/TARGET/`.

An input of the corpus covers code that no other one covers. An input in `found` once broke a rule.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = ("reader", "configuration", "requests", "web_file", "tokens")
MOST_BYTES = 60_000
"""Of one target in the repository."""


def kept(target: str) -> tuple[bytes, ...]:
    """Return the corpus of a target."""
    path = HERE / "corpus" / f"{target}.txt"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return tuple(line.decode("unicode_escape").encode("latin-1") for line in lines)


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Write the corpus of a target, the short inputs first, as many as there is room for; returns how many."""
    lines: list[bytes] = []
    room = MOST_BYTES
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        line = data.decode("latin-1").encode("unicode_escape") + b"\n"
        if len(line) <= room:
            lines.append(line)
            room -= len(line)
    (HERE / "corpus" / f"{target}.txt").write_bytes(b"".join(lines))
    return len(lines)


def found(target: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every input that once broke a rule."""
    for path in sorted((HERE / "found" / target).glob("*")):
        yield path.name, path.read_bytes()


def unpack(inputs: Iterable[bytes], folder: Path) -> None:
    """Write inputs as libFuzzer reads them: a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / sha256(data).hexdigest()[:40]).write_bytes(data)
