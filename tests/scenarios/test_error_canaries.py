"""Every class of error, provoked with canaries in all that the other side sends: none is in what we say about it.

Looked at are message, remedy and members of the error, the traceback of its whole chain, and the log at level debug.
A new class needs a row in PROVOKED, or the last test here fails.
"""

import contextlib
import json
import socket
import sqlite3
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter import errors
from exporter.config import FhirSettings, OAuth2Settings
from exporter.demo.server import JSON, Request, Response
from exporter.errors import ExporterError
from exporter.fhir.auth import BearerFile
from exporter.fhir.export_status import ExportStatus
from exporter.fhir.export_target import status_address
from exporter.fhir.http import Http
from exporter.jobs import Job
from exporter.ledger import Binding, open_ledger
from exporter.ledger.backup import back_up
from exporter.ledger.file import LedgerFile
from exporter.ledger.open import hold_ledger
from exporter.ledger.prune import find_dead
from exporter.metrics.vocabulary import Operation
from exporter.task.model import Status
from exporter.task.payer_table import PayerTable
from exporter.task.payers import PairRule
from exporter.task.search import Search
from exporter.web.connections import ConnectionLimiter, Limits, listen
from exporter.worker import Worker

from ..support import authorization, fake, hostile, loaded, quirks
from ..support.authorization import AuthorizationServer, ProtectedServer, new_key, pem, write_secret
from ..support.builders import task
from ..support.canaries import canary, hits_in
from ..support.configuration import settings
from ..support.hostile import Listener, Play, head, sends, silent
from ..support.log_lines import Logs
from ..support.quirks import Quirk
from ..support.rig import Rig, prepared
from ..unit.fhir.certificates import encrypted, make_certificates, needs_openssl
from ..unit.ledger.ledgers import SOURCE, ledger_at, opened, version, write

Provoke = Callable[[Path], object]
WORDS = canary("body")
OUTCOME = json.dumps(loaded.outcome()).encode()
HEADERS = tuple(f"{name}: {value}" for name, value in loaded.HEADERS)


# Errors of the network: a real socket, credentials in a file, a query full of canaries


def asked(base: str, folder: Path, operation: Operation = Operation.SEARCH, **options: Any) -> None:
    """Ask a server once, with a token and a query that nobody else may see."""
    token = write_secret(folder, canary("secret.bearer"), "token")
    given = FhirSettings(url=base, timeout=1.0, **options)
    with closing(Http(given, BearerFile(Path(token)))) as http, http.session(1.0) as session:
        session.get(f"{base}/Task?patient={canary('query')}", operation)


def played(play: Play, *, tls: bool = False, reads: bool = True) -> Provoke:
    """Ask a server that plays this."""

    def provoke(folder: Path) -> None:
        with Listener(play, reads=reads) as server:
            asked(server.base.replace("http:", "https:") if tls else server.base, folder)

    return provoke


def answered(status: str, *headers: str, body: bytes = OUTCOME, operation: Operation = Operation.SEARCH) -> Provoke:
    """Ask a server that answers this, with canaries in the reason phrase and in headers of all kinds."""
    lines = (*headers, *HEADERS, f"Content-Length: {len(body)}")
    play = sends(head(*lines, status=f"{status} {canary('phrase')}") + body)

    def provoke(folder: Path) -> None:
        with Listener(play) as server:
            asked(server.base, folder, operation)

    return provoke


def certified(name: str, trusted: str | None) -> Provoke:
    """Ask a server with this certificate."""

    def provoke(folder: Path) -> None:
        made = make_certificates(folder)
        ca_file = str(made / f"{trusted}.pem") if trusted else None
        with Listener(encrypted(made, sends(head()), name), reads=False) as server:
            asked(server.base.replace("http:", "https:"), folder, ca_file=ca_file)

    return provoke


def closes_at_the_hello(connection: socket.socket) -> None:
    connection.recv(65536)


def refused_port(folder: Path) -> None:
    with Listener(silent) as server:
        base = server.base
    asked(base, folder)


def export_forbidden(folder: Path) -> None:
    answer = httpx.Response(403, headers=list(loaded.HEADERS), stream=httpx.ByteStream(OUTCOME))
    with closing(Http(FhirSettings(url=fake.BASE), transport=httpx.MockTransport(lambda _: answer))) as http:
        status = ExportStatus(http, "$export-poll-status")
        status.read(f"{fake.BASE}/$export-poll-status?_jobId={canary('probe')}", 5)


# Errors of FHIR: a rig whose server plays


def quirky(*plays: Quirk) -> Provoke:
    """Read all pages of a server with these quirks, and let its errors out."""

    def provoke(folder: Path) -> None:
        rig = Rig().start()
        for number in range(450):
            rig.store.put(loaded.task(f"t-{number}", "failed", "2026-11-20T11:00:00Z"))
        rig.play(quirks.elements_ignored, quirks.editing(loaded.load_bundle), *plays)
        with rig.context.server.window() as window:
            page = window.first(Search())
            while page.next is not None:
                page = window.follow(page.next)

    return provoke


def body(text: str | bytes) -> Quirk:
    data = text.encode() if isinstance(text, str) else text
    return quirks.always(Response(200, (("content-type", JSON), *loaded.HEADERS), data))


def next_at(url: str) -> Quirk:
    """Give each page this next link; what is behind it is a page, too."""
    page = body('{"resourceType": "Bundle", "type": "searchset"}')
    linked = quirks.editing(lambda bundle, _: bundle.update(link=[{"relation": "next", "url": url}]))
    return lambda answer: linked(quirks.when(quirks.is_page, page)(answer))


def from_a_cache(answer: fake.Answer) -> fake.Answer:
    def cached(request: Request) -> Response:
        made = answer(request)
        return made._replace(headers=(*made.headers, ("x-cache", f"HIT from {canary('x-cache')}")))

    return cached


def ended(make: Callable[[], object]) -> None:
    """Raise the error that ends a job of a worker."""
    found: list[ExporterError] = []
    end = Worker._end

    def keep(worker: Worker, job: Job, error: ExporterError | None) -> None:
        found.extend([error] if error is not None else [])
        end(worker, job, error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "_end", keep)
        make()
    raise found[0]


# Errors of tokens


def tokens(status: int, answer: object, *, key: bool = False, headers: dict[str, str] | None = None) -> Provoke:
    """Ask a token endpoint that answers this, with a secret or a key."""

    def provoke(folder: Path) -> None:
        with oauth2(folder, key=key) as (rig, server):
            server.answer = lambda _: server.reply(status, answer, **dict(loaded.HEADERS), **(headers or {}))
            rig.start().context.server.http.auth.headers()

    return provoke


@contextlib.contextmanager
def oauth2(
    folder: Path, *, key: bool = False, token_url: str | None = authorization.TOKEN_URL
) -> Iterator[tuple[Rig, AuthorizationServer]]:
    """Make an exporter that gets its tokens by a secret or a key."""
    private = new_key("P-384")
    given: dict[str, Any] = {"client_id": "somebody", "token_url": token_url}
    if key:
        given |= {"private_key_file": write_secret(folder, pem(private)), "key_id": "k"}
    else:
        given["client_secret_file"] = write_secret(folder, canary("secret.oauth2"))
    rig = Rig(fhir={"url": "https://cdr.fhir.example/fhir", "oauth2": OAuth2Settings(**given)})
    server = AuthorizationServer(rig.clock, key=private if key else None, secret=canary("secret.oauth2"))
    rig.transport = ProtectedServer(rig.store, server)
    yield rig, server


def token_endpoint_unknown(folder: Path) -> None:
    with oauth2(folder, token_url=None) as (rig, _):
        assert isinstance(rig.transport, ProtectedServer)
        rig.transport.names = {"token_endpoint": f"https://evil.example/{canary('discovery')}"}
        rig.start().context.server.http.auth.headers()


def token_endpoint_raises(error: Callable[[], Exception]) -> Provoke:
    def provoke(folder: Path) -> None:
        with oauth2(folder) as (rig, server):
            server.answer = lambda _: (_ for _ in ()).throw(error())
            rig.start().context.server.http.auth.headers()

    return provoke


def not_trusted() -> Exception:
    failed = httpx.ConnectError("handshake failed")
    cause = ssl.SSLError(1, "handshake failed")
    cause.reason = "HANDSHAKE_FAILURE"
    failed.__cause__ = cause
    return failed


# Errors of the ledger, which holds a Task whose id nobody may see


def kept(folder: Path) -> Path:
    """Make a ledger with a Task."""
    path = folder / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version(canary("ledger.Task.id")[:40], Status.FAILED), baseline=True)
    return path


def changed(statement: str) -> Provoke:
    """Open a ledger in which this was done."""

    def provoke(folder: Path) -> None:
        path = kept(folder)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(statement)
        opened(path).close()

    return provoke


def open_twice(folder: Path) -> None:
    with closing(opened(kept(folder))):
        opened(folder / "ledger.db")


def held(folder: Path) -> None:
    with closing(opened(kept(folder))), hold_ledger(str(folder / "ledger.db")):
        pass


def foreign(folder: Path) -> None:
    (folder / "other.db").write_text(WORDS * 1000)
    open_ledger(str(folder / "other.db"), SOURCE, PairRule(100))


def another_source(folder: Path) -> None:
    opened(kept(folder), Binding("http://other.example/fhir", SOURCE.selection))


def not_rebound(folder: Path) -> None:
    rig = prepared(*(task(f"t-{number}") for number in range(5)), path=str(folder / "ledger.db")).start().settle()
    rig.stop()
    for number in range(5):
        rig.store.delete(f"t-{number}")
    rig.fhir, rig.rebind = {"url": "http://new.example:8443/fhir"}, True
    rig.store.base = "http://new.example:8443/fhir"
    rig.start()


def backup_exists(folder: Path) -> None:
    (folder / "copy.db").write_text(WORDS)
    back_up(str(kept(folder)), str(folder / "copy.db"))


def pruned(schema: int) -> Provoke:
    def provoke(folder: Path) -> None:
        path = kept(folder)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {schema}")
        find_dead(str(path), PayerTable())

    return provoke


def damaged(folder: Path) -> None:
    path = kept(folder)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + WORDS.encode() * (len(data[4096:]) // len(WORDS) + 1))
    with hold_ledger(str(path)):
        pass


def not_set_aside(folder: Path) -> None:
    path = kept(folder)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + WORDS.encode() * (len(data[4096:]) // len(WORDS) + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(13, "Permission denied")))
        opened(path)


def is_a_folder(folder: Path) -> None:
    (folder / "ledger.db").mkdir()
    opened(folder / "ledger.db")


def watched(change: Callable[[Path], object]) -> Provoke:
    """Do something to the file of an open ledger."""

    def provoke(folder: Path) -> None:
        path = kept(folder)
        with closing(opened(path)) as ledger:
            write(ledger, version("another"))
            file = LedgerFile(str(path))
            change(path)
            trouble = file.trouble()
        assert trouble is not None
        raise trouble

    return provoke


def replaced(path: Path) -> None:
    (path.parent / "new").write_text(WORDS)
    (path.parent / "new").rename(path)


def unseen(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.name)  # a link to itself


# The other ones


def configured_wrong(folder: Path) -> None:
    secret = canary("option.password")
    settings(
        f"payers:\n  name: [{WORDS}, {WORDS}]\nreasons:\n  name: '('\nfhir:\n  page-size: {WORDS}\n",
        **{
            "fhir.url": f"https://user:{secret}@cdr.example/fhir?token={secret}",
            "fhir.tag": secret,
            "fhir.search": secret,
            "fhir.timeout": secret,
            "fhir.username": f"{secret}:x",
            "fhir.password-file": f"{folder}/absent",
            "deadline": secret,
            "batch-jobs.url": f"https://user:{secret}@cdr.example/?{secret}",
            "web.listen-address": secret,
        },
    )


def a_bug(_: Path) -> None:
    rig = Rig().start()
    rig.play(lambda _: lambda request: (_ for _ in ()).throw(KeyError(WORDS)))
    ended(lambda: rig.run(3))


def nothing_there(_: Path) -> None:
    rig = prepared(*(task(f"t-{number}") for number in range(3))).start().settle()
    rig.scrape()
    for number in range(3):
        rig.store.expunge(f"t-{number}")
    ended(rig.compare)


def count_throttled(_: Path) -> None:
    rig = prepared(*(task(f"t-{number}") for number in range(450)))
    rig.play(quirks.when(fake.is_count, quirks.throttled(canary("retry-after"))))
    ended(lambda: rig.start().run(3))


def address_taken(folder: Path) -> None:
    with closing(listen("127.0.0.1", 0, ConnectionLimiter(Limits()))) as first:
        listen("127.0.0.1", first.getsockname()[1], ConnectionLimiter(Limits()))


REFUSED = loaded.token_refusal()
UNKNOWN_WORD = f"UPDATE counter SET fact = '{WORDS}' WHERE rowid = (SELECT min(rowid) FROM counter)"
ITSELF = f"{fake.BASE}?_getpages={canary('link.next')}"
TLS_PORT = b"Client sent an HTTP request to an HTTPS server " + WORDS.encode()

PROVOKED: dict[type[ExporterError], Provoke] = {
    errors.ExporterError: a_bug,
    errors.ConfigurationError: configured_wrong,
    errors.Unreachable: played(sends(f"220 {WORDS}\r\n\r\n".encode())),
    errors.NameNotFound: lambda folder: asked("https://nonexistent.invalid/fhir", folder),
    errors.ConnectRefused: refused_port,
    errors.ConnectionReset: played(sends()),
    errors.TimedOut: played(hostile.drips(head() + WORDS.encode(), b" ")),
    errors.TlsFailed: played(closes_at_the_hello, tls=True, reads=False),
    errors.UnknownAuthority: certified("server", None),
    errors.WrongHostName: certified("other", "other"),
    errors.CertificateExpired: certified("expired", "expired"),
    errors.NotTls: played(sends(WORDS.encode() * 9), tls=True, reads=False),
    errors.TlsExpected: answered("400", "Content-Type: text/plain", body=TLS_PORT),
    errors.AuthFailed: answered("401", f'WWW-Authenticate: Bearer realm="{canary("realm")}"'),
    errors.Forbidden: answered("403"),
    errors.ExportForbidden: export_forbidden,
    errors.TokenFailed: tokens(400, loaded.token_refusal("invalid_request")),
    errors.TokenEndpointUnknown: token_endpoint_unknown,
    errors.TokenEndpointUnreachable: token_endpoint_raises(lambda: httpx.ConnectError("no route")),
    errors.TokenEndpointUntrusted: token_endpoint_raises(not_trusted),
    errors.TokenEndpointFaulty: tokens(200, loaded.token_answer(token_type=canary("token.token_type"))),
    errors.ClientRefused: tokens(401, REFUSED),
    errors.AssertionRefused: tokens(401, REFUSED, key=True),
    errors.GrantRefused: tokens(400, loaded.token_refusal("unauthorized_client")),
    errors.ScopeRefused: tokens(400, loaded.token_refusal("invalid_scope")),
    errors.TokenThrottled: tokens(429, REFUSED, headers={"Retry-After": canary("retry-after")}),
    errors.Throttled: answered("429", f"Retry-After: {canary('retry-after')}"),
    errors.CountThrottled: count_throttled,
    errors.ClientFault: answered("422"),
    errors.NotFound: answered("404"),
    errors.ServerFault: answered("500"),
    errors.Redirected: answered(
        "302", f"Location: http://evil.example/{canary('location')}?token={canary('location')}"
    ),
    errors.NotFhir: quirky(body(f'{{"patient": "{WORDS}", ')),
    errors.Truncated: played(sends(head("Content-Length: 9999") + OUTCOME)),
    errors.TooLarge: played(hostile.floods(head(), WORDS.encode() * 100_000)),
    errors.WrongResource: quirky(body(OUTCOME)),
    errors.NothingThere: nothing_there,
    errors.CursorExpired: quirky(quirks.when(quirks.is_page, quirks.outcome_told(410, WORDS))),
    errors.LinkRefused: quirky(next_at(f"http://user:{canary('link.password')}@evil.example/{canary('link.path')}")),
    errors.LinkCycle: quirky(next_at(ITSELF)),
    errors.Cached: quirky(from_a_cache),
    errors.LedgerError: not_set_aside,
    errors.LedgerInUse: open_twice,
    errors.LedgerHeld: held,
    errors.LedgerAbsent: lambda folder: hold_ledger(str(folder / "none.db")).__enter__(),
    errors.LedgerForeign: foreign,
    errors.LedgerOfAnotherSource: another_source,
    errors.LedgerNotRebound: not_rebound,
    errors.LedgerBackupFailed: backup_exists,
    errors.LedgerOutdated: pruned(3),
    errors.LedgerTooNew: pruned(99),
    errors.LedgerDamaged: damaged,
    errors.LedgerFailed: is_a_folder,
    errors.LedgerUnreadable: changed(UNKNOWN_WORD),
    errors.LedgerLost: watched(Path.unlink),
    errors.LedgerReplaced: watched(replaced),
    errors.LedgerWalLost: watched(lambda path: path.with_name("ledger.db-wal").unlink()),
    errors.LedgerReadOnly: watched(lambda path: path.chmod(0o400)),
    errors.LedgerUnseen: watched(unseen),
    errors.TargetRefused: lambda _: status_address(
        fake.BASE, "$export-poll-status", f"http://evil.example/{canary('target')}"
    ),
    errors.AddressUnusable: address_taken,
}
"""A way to each class of error."""

NEVER_RAISED = {errors.ServerError}
"""Only what is below it is raised."""


@needs_openssl
@pytest.mark.parametrize("kind", PROVOKED, ids=lambda kind: kind.__name__)
def test_no_error_of_a_class_tells_what_was_sent(kind: type[ExporterError], tmp_path: Path, logs: Logs) -> None:
    with pytest.raises(ExporterError) as raised:
        PROVOKED[kind](tmp_path)
    error = raised.value
    assert type(error) is kind
    told = f"{error} {error!r} {error.remedy} {vars(error)}"
    # Only of a bug the text could be anything; it is kept as the cause, and nobody writes that.
    chain = "" if kind is ExporterError else "".join(traceback.format_exception(error))
    messages = "\n".join(line for line in chain.splitlines() if not line.startswith(("  ", "\t")))
    assert hits_in([("told", told), ("chain", messages), ("log", logs.text)]) == []


def every(kind: type[ExporterError]) -> set[type[ExporterError]]:
    return {kind}.union(*map(every, kind.__subclasses__()))


def test_every_class_of_error_is_provoked_here() -> None:
    ours = {kind for kind in every(ExporterError) if kind.__module__.startswith("exporter.")}
    assert ours - NEVER_RAISED == set(PROVOKED)
