"""FHIR servers to measure against, each in a process of its own: `python -m benchmarks.servers KIND COUNT [SHARE]`.

`simulated` is the demo's server, holding COUNT Tasks, SHARE of them open; a POST to `/change?n=100` lets that many end
again, and with `&retried=1` go on before it, so that each gets two versions.
`ready` sends bytes made beforehand, ids in random order, so that only the exporter's own speed shows.
"""

import random
import re
import socket
import sys
import threading
import time
import uuid

from exporter.demo.app import asgi, serve_on_loopback
from exporter.demo.dates import format_stamp
from exporter.demo.server import Request, Response, answer
from exporter.demo.store import Store
from tests.support.builders import completed, failed, organization, task

PAGE = 200
PAYERS = 12
OPEN_SHARE = 0.002
"""Of a million Tasks two thousand are in flight, of whom a part is late: years of exchanges, days of work."""


def now() -> int:
    return time.time_ns() // 1_000_000


def simulated(count: int, share: float = OPEN_SHARE) -> None:
    store = Store(now, "")
    lock = threading.Lock()
    fill(store, count, share)
    moved = iter(range(10**9))

    def respond(request: Request) -> Response:
        with lock:
            if request.path == "/change":
                asked = dict(request.query)
                for _ in range(int(asked["n"])):
                    turn, number = divmod(next(moved), count)
                    if "retried" in asked:
                        store.put(task(f"p2p-task-{number:08}", "in-progress", owner=payer(3)))
                    store.put((failed, completed)[turn % 2](f"p2p-task-{number:08}", owner=payer(3)))
                return Response(200, (), b"")
            return answer(store, request)

    def make(address: str) -> object:
        store.base = f"{address}/fhir"
        return asgi(respond)

    announce(serve_on_loopback(make) + "/fhir")


def fill(store: Store, count: int, share: float) -> None:
    dice = random.Random(7)
    for number in range(PAYERS):
        store.put(organization(f"payer-{number}", f"Payer {number}"))
    store.put(organization("new-payer", "New Payer"))
    start = now() - 365 * 86_400_000
    step = 364 * 86_400_000 // count
    for number in range(count):
        at = start + number * step
        made = task if dice.random() < share else completed if dice.random() < 0.9 else failed
        identifier = f"p2p-task-{number:08}"
        store.put(
            made(identifier, owner=payer(dice.randrange(PAYERS)), authoredOn=format_stamp(at - 3_600_000)), stamp=at
        )


def payer(number: int) -> dict[str, object]:
    return {"reference": f"Organization/payer-{number}"}


def announce(address: str) -> None:
    print(address, flush=True)
    threading.Event().wait()


class Ready:
    """Pages made beforehand. Task n has stamp `start + n`, so that a bound says at which page to begin."""

    def __init__(self, count: int) -> None:
        self.start = now() - count - 1_000_000
        self.address = ""
        dice = random.Random(11)
        sample = completed("ID", owner=payer(1), authoredOn=format_stamp(self.start - 3_600_000))
        sample["meta"] |= {"versionId": "3", "lastUpdated": "STAMP"}
        import json

        before, middle, after = re.split('ID(?=")|STAMP', json.dumps({"resource": sample, "search": {"mode": "match"}}))
        self.pages: list[bytes] = []
        for first in range(0, count, PAGE):
            entries = (
                f"{before}{uuid.UUID(int=dice.getrandbits(128))}{middle}{format_stamp(self.start + number)}{after}"
                for number in range(first, min(first + PAGE, count))
            )
            self.pages.append(",".join(entries).encode())

    def respond(self, target: str) -> bytes:
        if "/Organization/" in target:
            return self.message(b'{"resourceType":"Organization","name":"Payer"}')
        if "_summary=count" in target:
            return self.message(b'{"resourceType":"Bundle","type":"searchset","total":%d}' % (len(self.pages) * PAGE))
        asked = re.search(r"page=(\d+)", target)
        bound = re.search(r"_lastUpdated=g[et]([0-9T:.Z-]+)", target)
        first = 0 if bound is None else max(0, (instant(bound[1]) - self.start) // PAGE)
        return self.message(self.page(int(asked[1]) if asked else first))

    def page(self, number: int) -> bytes:
        last = number + 1 >= len(self.pages)
        link = b"" if last else b'{"relation":"next","url":"%s/fhir?page=%d"}' % (self.address.encode(), number + 1)
        entries = self.pages[number] if number < len(self.pages) else b""
        return b'{"resourceType":"Bundle","type":"searchset","meta":{"lastUpdated":"%s"},"link":[%s],"entry":[%s]}' % (
            format_stamp(now()).encode(),
            link,
            entries,
        )

    @staticmethod
    def message(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )


def instant(text: str) -> int:
    from exporter.task.dates import parse_instant

    return parse_instant(text) or 0


def ready(count: int) -> None:
    source = Ready(count)
    listener = socket.create_server(("127.0.0.1", 0))
    source.address = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while head := lines.readline():
                while lines.readline() not in {b"\r\n", b""}:
                    pass
                connection.sendall(source.respond(head.decode().split()[1]))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    announce(f"{source.address}/fhir")


if __name__ == "__main__":
    kind, number, *rest = sys.argv[1:]
    if kind == "ready":
        ready(int(number))
    simulated(int(number), *map(float, rest))
