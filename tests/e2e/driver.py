"""Someone who writes Tasks to a real FHIR server over REST and knows what the exporter must therefore show.

In one *round* each Task is written once at most: what passes between two polls no search can see, so that only then
the truth is one. After a round the caller waits until exporter and truth agree.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from exporter.demo.dates import format_stamp
from exporter.task.model import Coding

from ..support.builders import Resource, coding, organization, task
from .exchanges import HOUR, NOBODY, OWNERS, Owner, facts, milliseconds, now, stamp
from .hapi_server import HapiServer, TagStorage, put_entry
from .process import Process, total
from .truth import Truth, differences, shown

SYSTEM = "http://example.org/e2e"
PATIENCE = 120.0
"""Seconds that the exporter may take to agree; a busy machine is no failure, a wrong number is."""


@dataclass
class Driver:
    """Writes under a tag of its own, so that many drivers share a server. `plain` is what each Task holds now."""

    server: HapiServer
    name: str
    storage: TagStorage = "NON_VERSIONED"
    truth: Truth = field(default_factory=Truth)
    plain: dict[str, Resource] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    untagged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tag = Coding(SYSTEM, self.name)
        for identifier, name in (("old-payer", "Old Payer"), ("second-payer", "Second Payer")):
            self.server.put(organization(identifier, name))
        self.server.put(organization("new-payer", "New Payer"))

    @property
    def options(self) -> tuple[str, ...]:
        """How to configure an exporter to see these Tasks alone, and to show at once what it counts."""
        return ("--fhir.tag", f"{SYSTEM}|{self.name}", "--series.hold", "0s", "--poll.min-interval", "0s")

    def make(self, identifier: str, status: str | None, owner: Owner = OWNERS[0], **elements: Any) -> Resource:
        """Make a Task of ours, authored an hour ago unless changed."""
        usual = {"authoredOn": format_stamp(now() - HOUR), "meta": {"tag": [coding(self.tag)]}, "text": None}
        return task(identifier, status, **(usual | owner.elements | elements))

    def anchor(self) -> None:
        """Give each pair of payers an open Task that stays: the next that is due, whatever else is there."""
        for place, owner in enumerate((*OWNERS, NOBODY)):
            self.create(
                self.make(f"{self.name}-anchor-{place}", "requested", owner, authoredOn=format_stamp(now() - 20 * HOUR))
            )
        alone = self.make(
            f"{self.name}-anchor-none", "requested", authoredOn=format_stamp(now() - 20 * HOUR), requester=None
        )
        self.create(alone)

    def create(self, resource: Resource, *, by_post: bool = False) -> str:
        """Store a Task that the server does not hold, under its id or one of the server's choice."""
        stored = self.server.create(_without_id(resource)) if by_post else self.server.put(resource)
        identifier = self._touch(stored["id"])
        self.plain[identifier] = resource | {"id": identifier}
        self.truth.appear(identifier, facts(resource, stamp(stored)))
        return identifier

    def load(self, resources: Sequence[Resource], per_transaction: int) -> None:
        """Store Tasks that the server does not hold, many at a time; those of a transaction share one stamp."""
        batches = [resources[n : n + per_transaction] for n in range(0, len(resources), per_transaction)]
        with ThreadPoolExecutor(2) as pool:  # the server then takes half as many again
            for batch, answer in zip(batches, pool.map(self._store, batches), strict=True):
                for resource, entry in zip(batch, answer["entry"], strict=True):
                    self.plain[self._touch(resource["id"])] = resource
                    self.truth.appear(resource["id"], facts(resource, milliseconds(entry["response"]["lastModified"])))

    def _store(self, resources: Sequence[Resource]) -> Resource:
        return self.server.transaction([put_entry(resource) for resource in resources])

    def move(self, identifier: str, **elements: Any) -> None:
        """Write a new version of a Task."""
        resource = _changed(self.plain[self._touch(identifier)], elements)
        stored = self.server.put(resource)
        if resource != self.plain[identifier]:  # else no version came of it
            self.plain[identifier] = resource
            self.truth.change(identifier, facts(resource, stamp(stored)))

    def patch(self, identifier: str, status: str) -> None:
        """Write a new version of a Task by PATCH."""
        resource = _changed(self.plain[self._touch(identifier)], {"status": status})
        verb = "replace" if "status" in self.plain[identifier] else "add"
        stored = self.server.patch(f"Task/{identifier}", [{"op": verb, "path": "/status", "value": status}])
        self.plain[identifier] = resource
        self.truth.change(identifier, facts(resource, stamp(stored)))

    def repeat(self, identifier: str) -> None:
        """Write a Task as it is: no version comes of it."""
        self.server.put(self.plain[self._touch(identifier)])

    def delete(self, identifier: str) -> None:
        """Delete a Task logically; made again in a later round it is a new one."""
        self.server.delete(f"Task/{self._touch(identifier)}")
        self.truth.vanish(identifier)

    def expunge(self, identifier: str) -> None:
        """Delete a Task for good."""
        self.server.expunge(f"Task/{self._touch(identifier)}")
        self.truth.vanish(identifier)

    def recreate(self, identifier: str, status: str) -> None:
        """Expunge a Task and create it again at once, at version 1."""
        self.expunge(identifier)
        self.touched.discard(identifier)
        self.create(_changed(self.plain[identifier], {"status": status}))

    def untag(self, identifier: str) -> None:
        """Take our tag away: without a new version, but where tags are stored in the Task itself."""
        if self.storage == "INLINE":
            self.server.put(self.plain[self._touch(identifier)] | {"meta": {}})
        else:
            self.server.meta_delete(f"Task/{self._touch(identifier)}", *self.tag)
        self.untagged.add(identifier)
        self.truth.vanish(identifier)

    def bring_back(self, identifier: str) -> None:
        """Give our tag back to a Task that lost it; recreate one that was deleted, under its id."""
        resource = self.plain[identifier]
        if identifier not in self.untagged:
            self.create(resource)
            return
        self.untagged.discard(self._touch(identifier))
        if self.storage == "INLINE":
            self.truth.come_back(identifier, facts(resource, stamp(self.server.put(resource))))
        else:
            self.server.meta_add(f"Task/{identifier}", *self.tag)
            self.truth.come_back(identifier)

    def differences(self, text: str) -> list[str]:
        """Say where an exposition differs from the truth."""
        return differences(text, self.truth, now())

    def agree(self, process: Process, only: str = "") -> str:
        """Scrape until the exporter shows the truth and nothing else; ends the round. Gives that text.

        `only` is a pattern of names: what else differs is left aside.
        """
        end = time.monotonic() + PATIENCE
        while True:
            text = process.scrape(timeout=30)
            differing = [each for each in self.differences(text) if re.match(only, each)]
            if not differing:
                self.touched.clear()
                return text
            assert time.monotonic() < end, "\n".join(differing[:50])
            time.sleep(0.2)

    def command(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the exporter's to its end, on these Tasks."""
        words = [sys.executable, "-m", "exporter", name, "--fhir.url", self.server.base, *self.options[:2], *options]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def free(self, identifiers: Iterable[str]) -> list[str]:
        """Of these Tasks, name those not yet written in this round; anchors stay as they are."""
        return sorted(each for each in identifiers if each not in self.touched and "-anchor-" not in each)

    def _touch(self, identifier: str) -> str:
        assert identifier not in self.touched, "written twice in a round"
        self.touched.add(identifier)
        return identifier


@contextmanager
def scraped(process: Process, every: float = 0.3) -> Iterator[None]:
    """Scrape all the while, as Prometheus would: no counter may ever fall, and `up` must stay."""
    done, faults = Event(), list[str]()

    def scrape() -> None:
        highest: dict[Any, float] = {}
        while not done.wait(every):
            text = process.scrape(timeout=30)
            seen = {s: n for s, n in shown(text).items() if s[0].endswith(("_total", "_bucket", "_sum", "_count"))}
            faults.extend(f"{s} fell from {n} to {seen.get(s, 0)}" for s, n in highest.items() if seen.get(s, 0) < n)
            if total(text, "fhir_task_up") != 1:
                faults.append("fhir_task_up is 0")
            highest = seen

    thread = Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not faults, faults


def _changed(resource: Resource, elements: dict[str, Any]) -> Resource:
    return {name: value for name, value in (resource | elements).items() if value is not None}


def _without_id(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "id"}
