"""Clients of the TLS tests, and a web server on a configuration file."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import NamedTuple

from exporter.web.config_file import WebConfigFile
from exporter.web.connections import DEFAULT_LIMITS, Limits
from exporter.web.server import Access, WebServer

from .fake_backend import HANGS, FakeBackend

Pair = tuple[Path, Path]


class Answer(NamedTuple):
    status: int
    body: bytes
    certificate: bytes
    """Of the server, as DER."""
    cipher: str


def client_context(ca_file: Path | None, pair: Pair | None = None) -> ssl.SSLContext:
    """Trust one authority, or nobody in particular; show a certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE if ca_file is None else ssl.CERT_REQUIRED
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def get(address: tuple[str, int], context: ssl.SSLContext, path: str = "/metrics", **headers: str) -> Answer:
    """Ask over a connection of its own. Raises an OSError where there is no TLS, or no answer."""
    connection = HTTPSConnection(*address, timeout=HANGS, context=context)
    with closing(connection):
        connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        inside = connection.sock
        assert isinstance(inside, ssl.SSLSocket)
        certificate, cipher = inside.getpeercert(binary_form=True) or b"", (inside.cipher() or ("",))[0]
        response = connection.getresponse()
        return Answer(response.status, response.read(), certificate, cipher)


@contextmanager
def serving_file(
    file: Path, backend: FakeBackend | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[tuple[str, int], WebConfigFile]]:
    """Serve with a configuration file."""
    config = WebConfigFile(file)
    server = WebServer(backend or FakeBackend(), 1.0, limits, Access(config))
    try:
        yield server.start("127.0.0.1", 0), config
    finally:
        server.stop(HANGS)
        assert not server.alive
