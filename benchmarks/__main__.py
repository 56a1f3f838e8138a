"""One command, every figure: `python -m benchmarks [PART …]`; the parts are the functions named in PARTS.

Each prints rows of a Markdown table. `sizes` and `ready` take ten minutes together, `hapi` (which
wants Java) as long again: HAPI_TASKS=10000 is enough where only a scrape at rest is asked for.
"""

import gzip
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import httpx

from exporter.fhir.client import ELEMENTS
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format, join
from exporter.metrics.telemetry import Telemetry
from exporter.task.model import Snapshot
from tests.e2e.hapi_server import hapi, load_tasks
from tests.e2e.process import Process, total
from tests.support.builders import completed
from tools.sample_snapshot import EVERYTHING, USUAL, sample_snapshot

from . import inbound, naive, naming
from .measure import bare_rss_mb, cpu_seconds, median_ms, paired_ms, rss_mb, running, server, wait_for_baseline

SIZES = (1_000, 100_000, 1_000_000)
MANY_OPEN = 0.05
"""An unusually large share of open Tasks: 50,000 of a million, nearly all of them late."""
READY = (100_000, 1_000_000)
HAPI = int(os.environ.get("HAPI_TASKS", "100000"))
PAGE = 200
WINDOW = 2_000
JUMP_SIZES = (1_000, 100_000)
JUMPED = (0, 50, 500)
OVERLAP = 6
"""Seconds until a poll no longer reads again what changed before it: more than the overlap of `measure.QUICK`."""

Processes = dict[int, Process]
Times = dict[int, list[float]]
LEAN: dict[str, Any] = dict.fromkeys(("focus", "for_", "owner", "requester"))
"""Elements left out, so that loading takes minutes and not an hour."""

TAG = naive.TAG.replace("|", "%7C")
STAMP = re.compile(rb'"lastUpdated":\s*"([0-9T:.+Z-]+)"')
NEXT = re.compile(rb'"relation":\s*"next",\s*"url":\s*"([^"]+)"')


def say(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def sizes() -> None:
    """Scrapes at rest and with changes, memory, and the naive exporter, at each size.

    The sizes are measured in turn, scrape by scrape, so that a machine whose speed drifts does not favour one.
    """
    bare = bare_rss_mb()
    say("interpreter with its libraries", f"{bare:.0f} MB")
    with ExitStack() as stack:
        bases = {count: stack.enter_context(server("simulated", count)) for count in SIZES}
        processes = {}
        for count, base in bases.items():
            processes[count] = stack.enter_context(running(base))
            say(f"{count:,} Tasks: baseline", f"{count / wait_for_baseline(processes[count], 0.2):,.0f} Tasks/s")
        time.sleep(OVERLAP)
        at_rest(processes)
        with_changes(processes, bases)
        memory(processes, bare)
        for count, base in bases.items():
            seconds = median_ms(partial(naive.scrape, base), 1) / 1000
            say(f"{count:,} Tasks: a scrape of the naive exporter", f"{seconds:.2f} s")


def many_open() -> None:
    """Scrapes at rest where a twentieth of all Tasks is open, at the smallest and the largest size."""
    with ExitStack() as stack:
        processes = {}
        for count in (SIZES[0], SIZES[-1]):
            base = stack.enter_context(server("simulated", count, MANY_OPEN))
            processes[count] = stack.enter_context(running(base))
            wait_for_baseline(processes[count], 0.2)
        time.sleep(OVERLAP)
        say("open Tasks, of all", f"{MANY_OPEN:.0%}")
        at_rest(processes)


def at_rest(processes: Processes) -> None:
    asked = {count: requests(process) for count, process in processes.items()}
    times = in_turn(processes, 101)
    for count, process in processes.items():
        each = (requests(process) - asked[count]) / 102
        say(f"{count:,} Tasks: a scrape at rest", f"{median(times[count]):.1f} ms, {each:.2f} requests")
    say("at rest, the largest over the smallest", f"{ratio(times):.2f}")


def jumps() -> None:
    """Scrapes after which some Tasks have two versions more, with their histories and without, at two sizes."""
    with ExitStack() as stack:
        for count in JUMP_SIZES:
            base = stack.enter_context(server("simulated", count))
            processes = {
                name: stack.enter_context(running(base, flag))
                for name, flag in (("with histories", "--history"), ("without", "--no-history"))
            }
            for process in processes.values():
                wait_for_baseline(process, 0.2)
            time.sleep(OVERLAP)
            for jumped in JUMPED:
                jump(base, count, jumped, processes)


def jump(base: str, count: int, jumped: int, processes: dict[str, Process]) -> None:
    times: dict[str, list[float]] = {name: [] for name in processes}
    asked: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(7):
        httpx.post(f"{base.removesuffix('/fhir')}/change?n={jumped}&retried=1")
        for name, process in processes.items():
            times[name].append(median_ms(process.scrape, 1))
            asked[name].append(total(process.scrape(), "fhir_task_exporter_requests_total", operation="read"))
        time.sleep(OVERLAP)  # else the next scrape reads these changes again
    for name in processes:
        reads = median(after - before for before, after in pairwise(asked[name]))
        say(f"{count:,} Tasks, {jumped} jumped: {name}", f"{median(times[name]):.1f} ms, {reads:.0f} histories")


def with_changes(processes: Processes, bases: dict[int, str]) -> None:
    times: Times = {count: [] for count in processes}
    for _ in range(7):
        for base in bases.values():
            httpx.post(f"{base.removesuffix('/fhir')}/change?n=100")
        for count, found in in_turn(processes, 1).items():
            times[count] += found
        time.sleep(OVERLAP)  # else the next scrape reads these changes again
    for count, found in times.items():
        say(f"{count:,} Tasks: a scrape with 100 changes", f"{median(found):.1f} ms")
    say("with 100 changes, the largest over the smallest", f"{ratio(times):.2f}")


def memory(processes: Processes, bare: float) -> None:
    before = {count: rss_mb(process.popen.pid) for count, process in processes.items()}
    in_turn(processes, 1_000)
    for count, process in processes.items():
        after = rss_mb(process.popen.pid)
        say(
            f"{count:,} Tasks: memory above the bare interpreter, and after 1,000 scrapes",
            f"{before[count] - bare:.0f} MB, {after - bare:.0f} MB",
        )


def in_turn(processes: Processes, rounds: int) -> Times:
    """Scrape one after the other, so many times; milliseconds of each."""
    times: Times = {count: [] for count in processes}
    for _ in range(rounds):
        for count, process in processes.items():
            times[count].append(median_ms(process.scrape, 1))
    return times


def ratio(times: Times) -> float:
    """The median of what the largest took over what the smallest took, pair by pair."""
    return median(large / small for large, small in zip(times[SIZES[-1]], times[SIZES[0]], strict=True))


def requests(process: Process) -> float:
    """Requests to the FHIR server so far; asking is a scrape too."""
    return total(process.scrape(), "fhir_task_exporter_requests_total")


def rendering() -> None:
    """Writing 100 pairs, gzip included, cold and at rest."""
    own = Telemetry()
    for name, kind in (("the usual series", USUAL), ("every possible series", EVERYTHING)):
        kept, shown = TaskText(), sample_snapshot(100, kind)
        say(f"rendering 100 pairs, {name}, cold", f"{median_ms(partial(render_again, shown, own), 15):.0f} ms")
        say(f"rendering 100 pairs, {name}, at rest", f"{median_ms(partial(written, kept, shown, own), 40):.1f} ms")


def render_again(shown: Snapshot, own: Telemetry) -> bytes:
    return written(TaskText(), shown, own)


def written(text: TaskText, shown: Snapshot, own: Telemetry) -> bytes:
    form = Format.OPENMETRICS
    return gzip.compress(join((text.render(shown, form), own.render(form)), form), 1)


def ready() -> None:
    """The baseline's own speed and cost: random ids, bytes made beforehand."""
    bare = bare_rss_mb()
    spent = {count: ready_at(count, bare) for count in READY}
    small, large = READY
    say(f"CPU a Task at {large:,} over {small:,}", f"{spent[large] / spent[small]:.2f}")


def ready_at(count: int, bare_mb: float) -> float:
    """Measure one size; gives the seconds of CPU that a Task took."""
    with server("ready", count) as base:
        with running(base) as process:
            began = cpu_seconds(process.popen.pid)
            took = wait_for_baseline(process, 0.2)
            spent = (cpu_seconds(process.popen.pid) - began) / count
            memory = rss_mb(process.popen.pid) - bare_mb
        bare = count / seconds_of(partial(download, base, count))
    say(f"baseline of {count:,} random ids from ready bytes", f"{count / took:,.0f} Tasks/s")
    say("its CPU a Task", f"{spent * 1e6:.0f} µs")
    say("its memory above the bare interpreter", f"{memory:.0f} MB")
    say("the bare download of the same bytes", f"{bare:,.0f} Tasks/s")
    say("the baseline over the bare download", f"{count / took / bare:.3f}")
    return spent


def download(base: str, count: int) -> None:
    with httpx.Client() as client:
        for page in range(count // PAGE):
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
                time.sleep(OVERLAP)
                with httpx.Client() as client:
                    scrape, ask = partial(kept_scrape, client, process), partial(bare_search, client, real.base)
                    rest, search = paired_ms(scrape, ask, 60)
        bare, baseline = (sorted(rates[name])[1] for name in ("bare", "baseline"))
        say(f"HAPI with {HAPI:,} Tasks: bare walk", f"{bare:,.0f} Tasks/s")
        say(f"HAPI with {HAPI:,} Tasks: baseline", f"{baseline:,.0f} Tasks/s")
        say("the baseline over the bare walk", f"{baseline / bare:.2f}")
        say(f"HAPI with {HAPI:,} Tasks: a scrape at rest", f"{rest:.1f} ms")
        say("the bare search of it, on a connection that is kept", f"{search:.1f} ms")
        say("the scrape at rest over the bare search", f"{rest / search:.2f}")


def kept_scrape(client: httpx.Client, process: Process) -> None:
    """Scrape on a connection that is kept, as Prometheus does."""
    client.get(f"{process.url}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "10"}).raise_for_status()


def bare_search(client: httpx.Client, base: str) -> None:
    """Ask what changed within the last seconds, as a poll does, and decode nothing."""
    since = datetime.now(UTC) - timedelta(seconds=OVERLAP)
    url = f"{base}/Task?_tag={TAG}&_lastUpdated=ge{since:%Y-%m-%dT%H:%M:%S}.000Z"
    rest = f"&_sort=_lastUpdated,_id&_count={PAGE}&_elements={ELEMENTS}"
    client.get(url + rest, headers={"Cache-Control": "no-cache", "Accept-Encoding": "gzip"}).raise_for_status()


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


def naming_payers() -> None:
    """Name payers with ten and with a thousand patterns, of which the last one matches."""
    for patterns in (10, 1_000):
        new, known = map(median, zip(*(naming.measure(patterns) for _ in range(5)), strict=True))
        say(f"{patterns:,} patterns: a payer that is new", f"{new:.1f} µs")
        say(f"{patterns:,} patterns: a Task of a known one", f"{known:.2f} µs")


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


PARTS: dict[str, Callable[[], None]] = {
    "rendering": rendering,
    "naming": naming_payers,
    "sizes": sizes,
    "open": many_open,
    "jumps": jumps,
    "ready": ready,
    "hapi": on_hapi,
    "load": partial(inbound.load, say),
    "soak": partial(inbound.soak, say),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
