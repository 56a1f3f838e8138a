"""A real Prometheus for the end-to-end tests: Debian's package, on a free port of this machine, with a fresh folder.

    with prometheus({"scrape_configs": [...]}, tmp_path) as server:
        server.until('up{job="demo"}', 1)
        server.values("sum by (source_payer) (fhir_tasks)", "source_payer")

Only its log outlives the `with` block, in that folder.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from .program import require, started

LISTENING = r'msg="Listening on" address=(\S+)\s'
READY_WITHIN = 60.0
"""Seconds; a hundred times what a start takes on two idle cores."""


def require_prometheus() -> None:
    """Skip where there is none; a laptop may lack it, CI may not."""
    require("prometheus", package="prometheus")


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """A running server, asked over its HTTP API (prometheus.io/docs/prometheus/latest/querying/api)."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    def api(self, path: str, **parameters: str) -> Any:
        """Ask, and give what is under `data`."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression that gives an instant vector, now."""
        found = self.api("query", query=expression)
        assert found["resultType"] == "vector", found["resultType"]
        return [Sample(each["metric"], float(each["value"][1])) for each in found["result"]]

    def value(self, expression: str) -> float | None:
        """Evaluate an expression of at most one element; None where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0].value if found else None

    def values(self, expression: str, label: str) -> dict[str, float]:
        """Evaluate an expression whose elements differ in one label."""
        found = self.query(expression)
        values = {sample.labels.get(label, ""): sample.value for sample in found}
        assert len(values) == len(found), found
        return values

    def until(self, expression: str, value: float | None, seconds: float = 90) -> None:
        """Ask until an expression has this value; None stands for no element at all."""
        end = time.monotonic() + seconds
        while (found := self.value(expression)) != value:
            assert time.monotonic() < end, f"{expression} is {found}, not {value}\n{self.complaints()}"
            time.sleep(0.2)

    def unanswered(self, expressions: Mapping[str, str], seconds: float) -> dict[str, str]:
        """Ask until every expression has given an element once; gives those that have not in that time."""
        left, end = dict(expressions), time.monotonic() + seconds
        while left and time.monotonic() < end:
            left = {name: expression for name, expression in left.items() if not self.query(expression)}
            time.sleep(1)
        return left

    def label_values(self, label: str, selector: str) -> list[str]:
        """List what Grafana's label_values() lists, in alphabetical order."""
        values: list[str] = self.api(f"label/{label}/values", **{"match[]": selector})
        return values

    def active_targets(self) -> list[dict[str, Any]]:
        """List what it scrapes, with the last error of each."""
        targets: list[dict[str, Any]] = self.api("targets", state="active")["activeTargets"]
        return targets

    def refusals(self) -> dict[str, float]:
        """Give its own counters of scrapes and samples that it did not accept, those that are not 0."""
        text = httpx.get(f"{self.url}/metrics", timeout=60, trust_env=False).text
        found = re.findall(
            r"^(prometheus_target_(?:scrapes?_|metadata).*(?:exceed|sample|invalid).*) (\S+)$", text, re.MULTILINE
        )
        assert found, "this Prometheus names its counters otherwise"
        return {name: float(value) for name, value in found if float(value)}

    def complaints(self) -> list[str]:
        """Give the lines of its log that are warnings or errors."""
        loud = re.compile(r"level=(warn|error)", re.IGNORECASE)
        return [line for line in self.log.read_text().splitlines() if loud.search(line)]


@contextmanager
def prometheus(configuration: Mapping[str, object], folder: Path, options: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Run a server with this configuration until the block ends, whatever happens in it."""
    require_prometheus()
    file, log = folder / "prometheus.yml", folder / "prometheus.log"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    command = [
        *("prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        *("--web.listen-address=127.0.0.1:0", *options),
    ]
    with started(command, log, LISTENING, "(Server is ready to receive web requests)", within=READY_WITHIN) as (
        _,
        found,
    ):
        yield Prometheus(f"http://{found[0]}", log)


class Targets:
    """A file of targets that Prometheus watches: exporters may come, go and change their address."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set()

    def set(self, **urls: str) -> None:
        """Scrape these from now on; each under its name as label `exporter`."""
        groups = [
            {"targets": [url.removeprefix("http://")], "labels": {"exporter": name}} for name, url in urls.items()
        ]
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(groups))
        fresh.replace(self.file)

    @property
    def discovery(self) -> dict[str, object]:
        """Give what a scrape configuration says to find them."""
        return {"file_sd_configs": [{"files": [str(self.file)], "refresh_interval": "1s"}]}
