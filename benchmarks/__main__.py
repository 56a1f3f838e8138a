"""One command, every figure: `python -m benchmarks [PART …]`; the parts are the functions named in PARTS.

Each prints rows of a Markdown table. `sizes` and `ready` take ten minutes together, `hapi` (which
wants Java) as long again.
"""

import gzip
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from exporter.metrics.document import EVERYTHING, USUAL, picture
from exporter.metrics.exposition import Format, join
from exporter.metrics.families import TaskText
from exporter.metrics.own import Own
from exporter.task.model import Snapshot
from tests.builders import completed
from tests.e2e.hapi_server import hapi, load_tasks
from tests.e2e.process import Process, total

from . import naive
from .measure import bare_rss_mb, median_ms, rss_mb, running, server, wait_for_baseline

SIZES = (1_000, 100_000, 1_000_000)
READY = 1_000_000
HAPI = 100_000
PAGE = 200
WINDOW = 2_000
LEAN: dict[str, Any] = dict.fromkeys(("focus", "for", "owner", "requester", "output"))
"""Elements left out, so that loading takes minutes and not an hour."""

TAG = naive.TAG.replace("|", "%7C")
STAMP = re.compile(rb'"lastUpdated":\s*"([0-9T:.+Z-]+)"')
NEXT = re.compile(rb'"relation":\s*"next",\s*"url":\s*"([^"]+)"')


def say(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def sizes() -> None:
    """Scrapes at rest and with changes, memory, and the naive exporter, at each size."""
    bare = bare_rss_mb()
    say("interpreter with its libraries", f"{bare:.0f} MB")
    for count in SIZES:
        with server("simulated", count) as base:
            with running(base) as process:
                one_size(process, base, count, bare)
            seconds = median_ms(partial(naive.scrape, base), 1) / 1000
            say(f"{count:,} Tasks: a scrape of the naive exporter", f"{seconds:.2f} s")


def one_size(process: Process, base: str, count: int, bare: float) -> None:
    took = wait_for_baseline(process, 0.5)
    say(f"{count:,} Tasks: baseline", f"{count / took:,.0f} Tasks/s")
    for _ in range(5):
        process.scrape()
    asked = requests(process)
    rest = median_ms(process.scrape, 60)
    say(f"{count:,} Tasks: a scrape at rest", f"{rest:.1f} ms, {(requests(process) - asked) / 61:.2f} requests")
    say(f"{count:,} Tasks: a scrape with 100 changes", f"{with_changes(process, base):.1f} ms")
    before = rss_mb(process.popen.pid)
    for _ in range(1_000):
        process.scrape()
    after = rss_mb(process.popen.pid)
    say(f"{count:,} Tasks: memory above the bare interpreter", f"{before - bare:.0f} MB")
    say(f"{count:,} Tasks: the same after 1,000 scrapes", f"{after - bare:.0f} MB")


def requests(process: Process) -> float:
    """Requests to the FHIR server so far; asking is a scrape too."""
    return total(process.scrape(), "fhir_task_exporter_requests_total")


def with_changes(process: Process, base: str) -> float:
    """Milliseconds of the median scrape after 100 Tasks changed."""
    address, times = base.removesuffix("/fhir"), []
    for _ in range(15):
        httpx.post(f"{address}/change?n=100")
        times.append(median_ms(process.scrape, 1))
    return sorted(times)[len(times) // 2]


def rendering() -> None:
    """Writing 100 pairs, gzip included, cold and at rest."""
    own = Own()
    for name, kind in (("the usual series", USUAL), ("every possible series", EVERYTHING)):
        kept, shown = TaskText(), picture(100, kind)
        say(f"rendering 100 pairs, {name}, cold", f"{median_ms(partial(anew, shown, own), 15):.0f} ms")
        say(f"rendering 100 pairs, {name}, at rest", f"{median_ms(partial(written, kept, shown, own), 40):.1f} ms")


def anew(shown: Snapshot, own: Own) -> bytes:
    return written(TaskText(), shown, own)


def written(text: TaskText, shown: Snapshot, own: Own) -> bytes:
    form = Format.OPENMETRICS
    return gzip.compress(join((text.render(shown, form), own.render(form)), form), 1)


def ready() -> None:
    """The baseline's own speed: random ids, bytes made beforehand."""
    with server("ready", READY) as base:
        with running(base) as process:
            took = wait_for_baseline(process, 0.5)
        say(f"baseline of {READY:,} random ids from ready bytes", f"{READY / took:,.0f} Tasks/s")
        bare = READY / seconds_of(partial(download, base))
        say("the bare download of the same bytes", f"{bare:,.0f} Tasks/s")
        say("the baseline over the bare download", f"{READY / took / bare:.3f}")


def download(base: str) -> None:
    with httpx.Client() as client:
        for page in range(READY // PAGE):
            client.get(f"{base}?page={page}")


def on_hapi() -> None:
    """The baseline against a real server, beside a walk of the same windows that reads only links and stamps."""
    with hapi(max_page=PAGE, options=["-Xmx3g"]) as real:
        load_tasks(real.base, (completed(f"p2p-task-{number:06}", 1, **LEAN) for number in range(HAPI)))
        rates: dict[str, list[float]] = {"bare": [], "baseline": []}
        for _ in range(3):
            rates["bare"].append(HAPI / seconds_of(partial(bare_walk, real.base)))
            with running(real.base, "--fhir.timeout", "60s") as process:
                rates["baseline"].append(HAPI / wait_for_baseline(process, 0.5))
                rest = median_ms(process.scrape, 30)
        bare, baseline = (sorted(rates[name])[1] for name in ("bare", "baseline"))
        say(f"HAPI with {HAPI:,} Tasks: bare walk", f"{bare:,.0f} Tasks/s")
        say(f"HAPI with {HAPI:,} Tasks: baseline", f"{baseline:,.0f} Tasks/s")
        say("the baseline over the bare walk", f"{baseline / bare:.2f}")
        say(f"HAPI with {HAPI:,} Tasks: a scrape at rest", f"{rest:.1f} ms")


def bare_walk(base: str) -> None:
    """Fetch the pages that the baseline fetches, and decode nothing."""
    bound = ""
    with httpx.Client(timeout=120, headers={"Cache-Control": "no-cache", "Accept-Encoding": "gzip"}) as client:
        while True:
            url: str | None = f"{base}/Task?_tag={TAG}{bound}&_sort=_lastUpdated,_id&_count={PAGE}"
            body, pages = b"", 0
            while url is not None and pages < WINDOW // PAGE:
                body, pages = client.get(url).content, pages + 1
                found = NEXT.search(body)
                url = found[1].decode() if found else None
            if url is None:
                return
            smallest = min(STAMP.findall(body)[1:]).decode()  # the first one is the Bundle's own
            bound = f"&_lastUpdated=ge{smallest.replace('+', '%2B')}"


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


PARTS = {"rendering": rendering, "sizes": sizes, "ready": ready, "hapi": on_hapi}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
