"""A real HAPI FHIR JPA server, the software that Smile CDR is built on, for the end-to-end tests.

    with hapi(tags="NON_VERSIONED") as server:
        load_tasks(server.base, tasks)
        server.put({"resourceType": "Task", "id": "p2p-task-1", ...})

The folder `hapi` beside this file holds one pom and one class. Its libraries and its classes are made once and kept in
the user's cache folder, each under a hash of what made them. All data is in memory and ends with the server.

Measured with HAPI 8.8.0 and Java 17 on two cores:

- the first run on a machine fetches 299 MB, one and a half minutes; later ones need nothing from the network;
- ready after 13 s when the machine is idle, 16 to 22 s when it is not. The first compiler alone and one thread of
  garbage collection make that so: 20 s and twice the memory without them. A class data archive would save 3 s more, for
  147 MB and 25 s of making it;
- resident 545 MB when ready, 610 MB with 5,000 Tasks, 855 MB with 40,000. For more, say `options=["-Xmx3g"]`;
- 330 to 390 Tasks a second into an empty server, of 250 a transaction, and 1,220 a second out, of 200 a page;
- `$export` of 5,000 Tasks: 3 min 39 s, because batch jobs move on once a minute;
- `$meta-add` and `$meta-delete` change neither version nor stamp. With INLINE both answer 200 and do nothing at all;
- `_tag` goes on working with VERSIONED and NON_VERSIONED when its search parameter is retired. With INLINE it is
  refused at once;
- an id deleted at version 1 comes back as version 4, an id expunged as version 1;
- a PUT that changes nothing is answered without `meta.source`, which a read still shows.
"""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import httpx

from .cache import once
from .program import skip_or_fail

Resource = dict[str, Any]
Parameters = Mapping[str, str | Sequence[str]]
TagStorage = Literal["VERSIONED", "NON_VERSIONED", "INLINE"]

SOURCES = Path(__file__).parent / "hapi"
OLDEST_JAVA = 17
INSTALL = "install a JDK and Maven, for example with: apt-get install openjdk-17-jdk-headless maven"
JVM = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
NICENESS = "5"
"""A server has patient clients. The exporters and Prometheus of tests that run meanwhile do not: they come first."""
READY_WITHIN = 180.0
"""Seconds; ten times what a start takes on two idle cores."""
PATIENCE = 120.0
"""Seconds for one answer: a transaction of thousands of entries takes its time."""


def require_hapi() -> None:
    """Skip the test if no server can run here; in CI, fail it."""
    if (lack := _lack()) is not None:
        skip_or_fail(lack)


def _lack() -> str | None:
    """Say what to install before a server can run here; None if nothing is missing."""
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        return f"HAPI FHIR needs {', '.join(missing)}: {INSTALL}"
    version = re.search(r'version "(\d+)', _run(["java", "-version"]))
    if version is None or int(version[1]) < OLDEST_JAVA:
        return f"HAPI FHIR needs Java {OLDEST_JAVA} or newer: {INSTALL}"
    return None


def build() -> str:
    """Make the server's class path, as far as no earlier run did, and return it."""
    pom, sources = SOURCES / "pom.xml", SOURCES / "src" / "main"
    libraries = once("hapi/lib", [pom], _fetch_libraries)
    files = [pom, *sorted(file for file in sources.rglob("*") if file.is_file())]
    classes = once("hapi/classes", files, lambda folder: _compile(sources, libraries, folder))
    return f"{classes}{os.pathsep}{libraries}/*"


@contextlib.contextmanager
def hapi(
    *,
    cache: bool = True,
    tags: TagStorage = "NON_VERSIONED",
    default_page: int = 10,
    max_page: int = 50,
    options: Sequence[str] = (),
) -> Iterator["HapiServer"]:
    """Run a server of its own for the `with` block; built first where needed, dead afterwards whatever happened.

    `cache`: an identical search within a minute gets the earlier answer, as HAPI does unless changed. `tags`:
    Smile CDR's own choice is NON_VERSIONED, HAPI's VERSIONED. A page holds `max_page` entries at most, whatever
    `_count` says, and `default_page` without it. `options` go to the JVM and win: `-Xmx3g`,
    `-Duser.timezone=America/New_York`, `-Dhapi.port=8080` and the other properties that `HapiServer.java` lists.
    """
    properties = {
        "hapi.cache": str(cache).lower(),
        "hapi.tags": tags,
        "hapi.page.default": default_page,
        "hapi.page.max": max_page,
    }
    defined = [f"-D{name}={value}" for name, value in properties.items()]
    command = [*("nice", "-n", NICENESS, "java"), *JVM, *defined, *options, "-cp", build(), "HapiServer"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log, _process(command, log) as process:
        base = f"http://127.0.0.1:{_port(process, log)}/fhir"
        with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
            yield HapiServer(base, process.pid, http)


def load_tasks(base: str, tasks: Iterable[Resource], per_transaction: int = 250) -> int:
    """Store Tasks under the ids they carry and return how many; all of one transaction share one `lastUpdated`."""
    loaded = 0
    remaining = iter(tasks)
    with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        while batch := list(itertools.islice(remaining, per_transaction)):
            http.post(base, json=transaction([put_entry(task) for task in batch])).raise_for_status()
            loaded += len(batch)
    return loaded


def put_entry(resource: Resource) -> Resource:
    """Ask, within a transaction, to store a resource under the id it carries."""
    return {"resource": resource, "request": {"method": "PUT", "url": _path(resource)}}


def transaction(entries: Sequence[Resource]) -> Resource:
    """Make a Bundle of which the server does all or nothing."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


@dataclass(frozen=True)
class HapiServer:
    """A running server. A path is relative to its base (`Task/p2p-task-1`); writes raise on any answer but 2xx."""

    base: str
    pid: int
    http: httpx.Client

    def get(self, path: str, parameters: Parameters | None = None, *, fresh: bool = True) -> httpx.Response:
        """Read or search, and return any status; `fresh` forbids an answer from the result cache."""
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        return self.http.get(self._url(path), params=parameters, headers=headers)

    def create(self, resource: Resource) -> Resource:
        """Store a resource under an id of the server's choice and return what was stored."""
        return self._write("POST", resource["resourceType"], json=resource)

    def put(self, resource: Resource) -> Resource:
        """Store a resource under the id it carries and return what was stored."""
        return self._write("PUT", _path(resource), json=resource)

    def patch(self, path: str, operations: Sequence[Resource]) -> Resource:
        """Apply a JSON Patch and return the new version."""
        headers = {"Content-Type": "application/json-patch+json"}
        return self._write("PATCH", path, json=list(operations), headers=headers)

    def delete(self, path: str) -> None:
        """Delete logically: a read then gets 410, and the id's versions go on from there."""
        self._write("DELETE", path)

    def expunge(self, path: str) -> None:
        """Delete for good, history included: a read then gets 404, and the id starts at version 1 again."""
        self.delete(path)
        self._operate(path, "$expunge", expungeDeletedResources=True, expungePreviousVersions=True)

    def transaction(self, entries: Sequence[Resource]) -> Resource:
        """Do all entries or none; they share one `lastUpdated`."""
        return self._write("POST", "", json=transaction(entries))

    def meta_add(self, path: str, system: str, code: str) -> None:
        """Add a tag in a way that makes no new version."""
        self._operate(path, "$meta-add", meta={"tag": [{"system": system, "code": code}]})

    def meta_delete(self, path: str, system: str, code: str) -> None:
        """Take a tag away in a way that makes no new version."""
        self._operate(path, "$meta-delete", meta={"tag": [{"system": system, "code": code}]})

    def retire_tag_search(self) -> None:
        """Retire the search parameter `_tag`, as an operator may; with INLINE such searches then get 400 HAPI-1223."""
        url = "http://hl7.org/fhir/SearchParameter/Resource-tag"
        self.put(
            {
                "resourceType": "SearchParameter",
                "id": "Resource-tag",
                "url": url,
                "name": "_tag",
                "code": "_tag",
                "status": "retired",
                "description": "Tags applied to this resource",
                "base": ["Resource"],
                "type": "token",
                "expression": "Resource.meta.tag",
            }
        )

    def _operate(self, path: str, operation: str, **parameters: bool | Resource) -> None:
        named = [
            {"name": name, "valueBoolean" if isinstance(value, bool) else "valueMeta": value}
            for name, value in parameters.items()
        ]
        self._write("POST", f"{path}/{operation}", json={"resourceType": "Parameters", "parameter": named})

    def _write(self, method: str, path: str, **content: Any) -> Resource:
        answer = self.http.request(method, self._url(path), **content).raise_for_status()
        resource: Resource = answer.json()
        return resource

    def _url(self, path: str) -> str:
        return f"{self.base}/{path}".rstrip("/")


def _path(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _fetch_libraries(folder: Path) -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    _run(["mvn", "--batch-mode", "--quiet", "--file", str(SOURCES / "pom.xml"), *goal])


def _compile(sources: Path, libraries: Path, folder: Path) -> None:
    shutil.copytree(sources / "resources", folder)
    java = map(str, (sources / "java").rglob("*.java"))
    _run(["javac", "--release", str(OLDEST_JAVA), "-cp", f"{libraries}/*", "-d", str(folder), *java])


def _run(command: Sequence[str]) -> str:
    """Run a program to its end and return all it printed, or raise with that."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} … failed ({done.returncode}):\n{done.stdout[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def _process(command: Sequence[str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program and kill it at the end: it has nothing to save. It ends by itself when this process is killed."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _port(process: subprocess.Popen[str], log: IO[str]) -> int:
    """Wait for the line that says the server is ready; a watchdog ends the wait by ending the server."""
    watchdog = threading.Timer(READY_WITHIN, process.kill)
    watchdog.start()
    try:
        for line in process.stdout or ():
            if ready := re.fullmatch(r"listening on (\d+)\n", line):
                return int(ready[1])
    finally:
        watchdog.cancel()
    log.seek(0)
    raise RuntimeError(f"HAPI FHIR did not start:\n{log.read()[-4000:]}")
