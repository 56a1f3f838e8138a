"""One command, every figure: `python -m benchmarks [PART …]`; the parts are the functions named in PARTS."""

import sys
import time

import httpx

from exporter.metrics.document import EVERYTHING, USUAL, picture
from exporter.metrics.exposition import Format, join
from exporter.metrics.families import TaskText
from exporter.metrics.own import Own
from tests.e2e.process import total

from . import naive
from .measure import bare_rss_mb, median_ms, rss_mb, running, server, wait_for_baseline

SIZES = (1_000, 100_000, 1_000_000)


def say(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def sizes() -> None:
    """Scrapes at rest and with changes, memory, and the naive exporter, at each size."""
    bare = bare_rss_mb()
    say("interpreter with its libraries", f"{bare:.0f} MB")
    for count in SIZES:
        with server("simulated", count) as base:
            with running(base) as process:
                took = wait_for_baseline(process, 0.5)
                say(f"{count:,} Tasks: baseline", f"{count / took:,.0f} Tasks/s, {took:.1f} s")
                for _ in range(5):
                    process.scrape()
                asked = total(process.scrape(), "fhir_task_exporter_requests_total")
                rest = median_ms(process.scrape, 60)
                each = (total(process.scrape(), "fhir_task_exporter_requests_total") - asked) / 61
                say(f"{count:,} Tasks: a scrape at rest", f"{rest:.1f} ms, {each:.2f} requests")
                say(f"{count:,} Tasks: a scrape with 100 changes", f"{with_changes(process.scrape, base):.1f} ms")
                before = rss_mb(process.popen.pid)
                for _ in range(1_000):
                    process.scrape()
                after = rss_mb(process.popen.pid)
                say(
                    f"{count:,} Tasks: RSS, and after 1,000 scrapes",
                    f"{before:.0f} MB, {after:.0f} MB ({bare:.0f} bare)",
                )
            say(
                f"{count:,} Tasks: the naive exporter's scrape",
                f"{median_ms(lambda b=base: naive.scrape(b), 1):,.0f} ms",
            )


def with_changes(scrape: object, base: str) -> float:
    """Median scrape after 100 Tasks changed, in milliseconds."""
    assert callable(scrape)
    address = base.removesuffix("/fhir")
    times = []
    for _ in range(9):
        httpx.post(f"{address}/change?n=100")
        began = time.perf_counter()
        scrape()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[len(times) // 2]


def rendering() -> None:
    """Writing 100 pairs, gzip included, cold and at rest."""
    import gzip

    own = Own()
    for name, kind in (("usual", USUAL), ("everything", EVERYTHING)):
        shown = picture(100, kind)

        def cold(shown: object = shown) -> bytes:
            text = TaskText().render(shown, Format.OPENMETRICS)  # type: ignore[arg-type]
            return gzip.compress(join((text, own.render(Format.OPENMETRICS)), Format.OPENMETRICS), 1)

        kept = TaskText()

        def rest(shown: object = shown, kept: TaskText = kept) -> bytes:
            text = kept.render(shown, Format.OPENMETRICS)  # type: ignore[arg-type]
            return gzip.compress(join((text, own.render(Format.OPENMETRICS)), Format.OPENMETRICS), 1)

        say(f"rendering 100 pairs ({name}), cold", f"{median_ms(cold, 15):.0f} ms")
        say(f"rendering 100 pairs ({name}), at rest", f"{median_ms(rest, 40):.1f} ms")


def ready(count: int = 1_000_000) -> None:
    """The baseline's own speed: random ids, ready bytes."""
    with server("ready", count) as base:
        with running(base) as process:
            took = wait_for_baseline(process, 0.5)
        say(f"baseline of {count:,} random ids from ready bytes", f"{count / took:,.0f} Tasks/s")
        began = time.monotonic()
        url: str | None = f"{base}/Task"
        with httpx.Client() as client:
            for page in range(count // 200):
                client.get(f"{base}?page={page}")
        del url
        bare = count / (time.monotonic() - began)
        say("the bare download", f"{bare:,.0f} Tasks/s; the baseline reaches {count / took / bare:.2f} of it")


PARTS = {"sizes": sizes, "rendering": rendering, "ready": ready}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
