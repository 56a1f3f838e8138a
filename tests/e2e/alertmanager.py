"""A real Alertmanager for the end-to-end tests, Debian's package; and an inbox that takes the place of its receivers.

    with inbox() as post, alertmanager(delivered_to(post.url, example), tmp_path) as manager:
        post.wait(60, alertname="P2PWatchdog")
        manager.alerts(alertname="P2PWatchdog")

Only its log outlives the `with` block, in that folder.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from .program import require, started
from .prometheus import LISTENING, READY_WITHIN

PROGRAM = "prometheus-alertmanager"
"""Debian calls both the program and its package so."""


def require_alertmanager() -> None:
    require(PROGRAM, package=PROGRAM)


class Notice(NamedTuple):
    """One alert of a notification as a webhook gets it, and the receiver that the configuration meant it for."""

    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Inbox:
    """Keeps every notice in the order of arrival."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.url = ""
        self._arrival = threading.Condition()

    def put(self, body: bytes) -> None:
        """Take what Alertmanager posts (prometheus.io/docs/alerting/latest/configuration/#webhook_config)."""
        message = json.loads(body)
        with self._arrival:
            self.notices += [
                Notice(message["receiver"], alert["status"], alert["labels"], alert["annotations"])
                for alert in message["alerts"]
            ]
            self._arrival.notify_all()

    def firing(self, **labels: str) -> list[Notice]:
        """List what came about alerts with these labels that fire."""
        return [
            notice for notice in self.notices if notice.status == "firing" and labels.items() <= notice.labels.items()
        ]

    def wait(self, seconds: float, **labels: str) -> Notice:
        """Wait for the first of them."""
        with self._arrival:
            came = self._arrival.wait_for(lambda: self.firing(**labels), seconds)
            assert came, f"no notice of {labels} among {[notice.labels for notice in self.notices]}"
            return came[0]


class _Door(ThreadingHTTPServer):
    def __init__(self, owner: Inbox) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.owner = owner


class _Visit(BaseHTTPRequestHandler):
    server: _Door

    def do_POST(self) -> None:
        self.server.owner.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay silent."""


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Open an inbox on a free port of loopback."""
    post = Inbox()
    with _Door(post) as door:
        post.url = f"http://127.0.0.1:{door.server_address[1]}/"
        thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield post
        finally:
            door.shutdown()
            thread.join()


def delivered_to(url: str, example: Mapping[str, Any]) -> dict[str, Any]:
    """Replace of a configuration what a test must: every receiver becomes a webhook, and business hours last all week.

    Routes, groups, their intervals and inhibition stay.
    """
    always = [{"weekdays": ["sunday:saturday"]}]
    intervals = [{"name": interval["name"], "time_intervals": always} for interval in example["time_intervals"]]
    return {**example, "time_intervals": intervals, "receivers": [_webhook(each, url) for each in example["receivers"]]}


def _webhook(receiver: Mapping[str, Any], url: str) -> dict[str, Any]:
    (way,) = (kind for kind in receiver if kind.endswith("_configs"))
    hooks = [{"url": url, "send_resolved": configured["send_resolved"]} for configured in receiver[way]]
    return {"name": receiver["name"], "webhook_configs": hooks}


class Alertmanager:
    """A running server, asked over its HTTP API (version 2)."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """List the alerts with these labels that it holds, inhibited ones included."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return [alert for alert in answer.json() if labels.items() <= alert["labels"].items()]

    def until(self, count: int, labels: Mapping[str, str], seconds: float = 60) -> None:
        """Ask until it holds so many alerts with these labels."""
        end = time.monotonic() + seconds
        while len(found := self.alerts(**labels)) != count:
            assert time.monotonic() < end, f"it holds {len(found)} alerts with {labels}, not {count}"
            time.sleep(0.2)


@contextmanager
def alertmanager(configuration: Mapping[str, Any], folder: Path) -> Iterator[Alertmanager]:
    """Run a server with this configuration until the block ends, whatever happens in it."""
    require_alertmanager()
    file, log = folder / "alertmanager.yml", folder / "alertmanager.log"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    command = [
        *(PROGRAM, f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}"),
        # Without the last it would open a port for a cluster, and wait for others.
        *("--web.listen-address=127.0.0.1:0", "--cluster.listen-address="),
    ]
    with started(command, log, LISTENING, within=READY_WITHIN) as (_, (address,)):
        yield Alertmanager(f"http://{address}", log)
