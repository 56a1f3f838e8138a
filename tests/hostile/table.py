"""The table as text."""

from collections import Counter
from collections.abc import Sequence

from .judge import Seen

HEADER = f"{'what the server does':60} {'expected':14} {'seen':14} {'s':>5} {'MiB':>4} recovered hits"


def line(seen: Seen) -> str:
    """Write one row; what is wrong follows in a line of its own."""
    case = seen.case
    row = (
        f"{case.name[:60]:60} {case.reason or '-':14} {','.join(seen.reasons) or '-':14} {seen.seconds:5.2f} "
        f"{seen.peak_mib:4} {'yes' if seen.recovered else 'NO':9} {len(seen.hits):4}"
    )
    return row + "".join(f"\n    WRONG: {fault}" for fault in seen.faults)


def summary(seen: Sequence[Seen], seconds: float) -> str:
    """Write the figures of a run."""
    reasons = Counter(each.case.reason or "none" for each in seen)
    slowest = max(seen, key=lambda each: each.seconds)
    return (
        f"cases: {len(seen)}, wrong: {sum(bool(each.faults) for each in seen)}, "
        f"reasons: {len(reasons)} ({', '.join(f'{name} {n}' for name, n in sorted(reasons.items()))}), "
        f"slowest: {slowest.seconds:.2f} s ({slowest.case.name}), "
        f"RSS peak: {max(each.peak_mib for each in seen)} MiB, hits: {sum(len(each.hits) for each in seen)}, "
        f"in {seconds:.0f} s"
    )
