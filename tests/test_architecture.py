"""The tree shows the architecture; this keeps it so."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "exporter"
MODULES = sorted(PACKAGE.rglob("*.py"))

HOMES = {
    "httpx": ("fhir/http.py", "fhir/exchange.py"),
    "jwt": ("signing.py",),
    "cryptography": ("signing.py",),
    "publicsuffixlist": ("oauth2/domain.py",),
    "sqlite3": ("ledger/",),
    "click": ("cli/", "check/", "watch/display.py", "watch/run.py", "progress.py"),
    "hypercorn": ("web/server.py", "demo/app.py"),
    "msgspec": ("task/", "config/", "batch_jobs/decode.py", "oauth2/answer.py", "oauth2/endpoint.py"),
    "yaml": ("config/",),
    "bcrypt": ("web/passwords.py",),
    "prometheus_client": ("metrics/", "app/"),
}
"""One library, one home: what replaces it is one folder's business."""

MAY_IMPORT = {
    "task": {"task", "errors"},
    "metrics": {"metrics", "task", "errors"},
    "fhir": {"fhir", "config", "task", "metrics", "errors", "logs"},
    "ledger": {"ledger", "task", "metrics", "errors", "logs"},
    "web": {
        *("web", "config", "worker", "steps", "probe", "published", "reload"),
        *("metrics", "task", "errors", "logs", "documents"),
    },
    "clock": {"task"},
    "config": {"config", "signing", "task", "errors"},
    "signing": set(),
    "oauth2": {"oauth2", "signing", "clock", "fhir", "config", "metrics", "task", "errors", "logs"},
    "demo": {"demo", "task"},
    "probe": {"clock", "fhir", "metrics", "task", "errors", "logs"},
    "published": {"clock", "metrics", "task", "errors"},
    "bundle": {"errors"},
    "hold": {"ledger"},
    "ledger_guard": {"ledger", "metrics", "errors", "logs"},
    "logs": set(),
    "names": {"clock", "fhir", "task", "errors", "logs"},
    "exemplars": {"clock", "task"},
    "history": {"clock", "fhir", "metrics", "task", "errors", "logs"},
    "watermark": {"clock", "ledger", "metrics", "task"},
    "steps": {"task", "errors"},
    "context": {"clock", "names", "history", "hold", "exemplars", "watermark", "fhir", "ledger", "metrics", "task"},
    "absorb": {"context", "fhir", "ledger", "task"},
    "walk": {"absorb", "context", "steps", "watermark", "fhir", "ledger", "task", "errors"},
    "reconcile": {"reconcile", "absorb", "context", "steps", "walk", "ledger", "task", "errors"},
    "choices": {"context", "names", "config", "ledger", "task", "logs"},
    "reload": {"clock", "config", "metrics", "errors", "logs"},
    "jobs": {"steps", "metrics", "errors"},
    "schedule": {"context", "jobs", "config", "ledger", "metrics", "errors"},
    "worker": {
        *("choices", "context", "steps", "walk", "reconcile", "jobs", "schedule", "published"),
        *("config", "ledger", "metrics", "task", "errors", "logs"),
    },
    "progress": {"clock", "steps", "logs"},
    "batch_jobs": {"batch_jobs", "clock", "fhir", "metrics", "task", "errors", "logs"},
    "check": {
        "check",
        "batch_jobs",
        "metrics",
        "clock",
        "documents",
        "config",
        "names",
        "fhir",
        "oauth2",
        "ledger",
        "task",
        "errors",
    },
    "watch": {"watch", "clock", "names", "batch_jobs", "fhir", "metrics", "task", "errors"},
}
"""Who may know whom, by folder or module of the package; those not named here are the outermost ring."""

IO = {
    "os",
    "io",
    "time",
    "socket",
    "ssl",
    "logging",
    "pathlib",
    "sqlite3",
    "httpx",
    "subprocess",
    "threading",
    "asyncio",
}
PARTS = {
    *("WalkContext", "Watermark", "ServerClock", "SeriesHold"),
    *("Http", "Backend", "WebServer", "Worker", "Probes", "ExportStatus", "open_ledger", "LedgerGuard"),
    *("BatchJobs", "BatchJobsReader", "BatchJobsCollector", "OAuth2", "TokenEndpoint"),
}
"""What a running exporter is made of. `check` asks the server with a client that it is given, and no ledger."""

ASYNC = ("web/server.py", "demo/app.py")
"""Where the event loops are. Everything else is called by them and returns at once, or runs in the worker's thread."""

PURE = ("task/", "metrics/", "signing.py", "batch_jobs/model.py", "batch_jobs/decode.py", "batch_jobs/remedies.py")
LOCKS = ("metrics/telemetry.py", "metrics/families.py")
"""Instruments are told by several threads and read by another: a lock is no I/O."""


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute name and line of everything a module imports; our own begin with `exporter.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield node.module or "", node.lineno
                continue
            parts = ("exporter", *path.relative_to(PACKAGE).parts[:-1])
            home = parts[: len(parts) - node.level + 1]
            if node.module:
                yield ".".join((*home, node.module)), node.lineno
            else:
                yield from ((".".join((*home, alias.name)), node.lineno) for alias in node.names)


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Name and line of everything that a module calls, without what stands before its last dot."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node.lineno


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def ring(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_library_is_imported_at_its_home_only(path: Path) -> None:
    for name, line in imports(path):
        homes = HOMES.get(name.partition(".")[0])
        assert homes is None or place(path).startswith(homes), f"{place(path)}:{line} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_module_knows_only_whom_it_may_know(path: Path) -> None:
    allowed = MAY_IMPORT.get(ring(path))
    for name, line in imports(path):
        if allowed is not None and name.startswith("exporter."):
            assert name.split(".")[1] in allowed, f"{place(path)}:{line} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if place(path).startswith(PURE)], ids=place)
def test_the_pure_part_does_no_io(path: Path) -> None:
    for name, line in imports(path):
        top = name.partition(".")[0]
        if top == "threading" and place(path) in LOCKS:
            continue
        assert top not in IO, f"{place(path)}:{line} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_the_servers_are_async(path: Path) -> None:
    functions = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
    assert functions == [] or place(path) in ASYNC, f"{place(path)} has {functions}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_module_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), place(path)


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_nothing_exits_behind_the_command_line(path: Path) -> None:
    text = path.read_text()
    assert "sys.exit" not in text
    assert "os._exit" not in text


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_run_makes_the_parts_and_only_the_command_line_knows_run(path: Path) -> None:
    if not place(path).startswith("app/"):
        made = {f"{place(path)}:{line} makes {name}" for name, line in calls(path) if name in PARTS}
        assert made == set()
    if not place(path).startswith(("app/", "cli/")):
        assert all(not name.startswith("exporter.app") for name, _ in imports(path))


def test_the_parts_that_only_run_makes_are_made_there() -> None:
    made = {name for path in (PACKAGE / "app").glob("*.py") for name, _ in calls(path)}
    assert PARTS - made == set()


def test_whoever_is_named_in_the_rings_exists_and_needs_all_it_is_allowed() -> None:
    known: dict[str, set[str]] = {}
    for path in MODULES:
        ours = {name.split(".")[1] for name, _ in imports(path) if name.startswith("exporter.")}
        known.setdefault(ring(path), set()).update(ours)
    idle = {name: allowed - {name} - known[name] for name, allowed in MAY_IMPORT.items()}
    assert {name: rest for name, rest in idle.items() if rest} == {}


def test_every_third_party_import_is_a_declared_dependency() -> None:
    declared = {"prometheus_client", "httpx", "click", "msgspec", "hypercorn", "yaml", "bcrypt"}
    declared |= {"jwt", "cryptography", "publicsuffixlist"}  # cryptography by the extra of PyJWT
    for path in MODULES:
        for name, line in imports(path):
            top = name.partition(".")[0]
            known = top in sys.stdlib_module_names or top == "exporter" or top in declared
            assert known, f"{place(path)}:{line} imports {name}"
