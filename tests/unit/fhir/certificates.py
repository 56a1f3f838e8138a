"""Certificates for tests, each its own authority, made with openssl."""

import shutil
import ssl
import subprocess
from pathlib import Path
from socket import socket

import pytest

from ...support.hostile import Play, read_request

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")

SUBJECTS = {
    "server": "IP:127.0.0.1",
    "other": "DNS:other.example",
    "client": "DNS:client.example",
    "stranger": "DNS:stranger.example",
    "authority": "DNS:authority.example",
}
"""Names of the certificates, and for whom each is."""

DATES = {"expired": ("20200101000000Z", "20210101000000Z"), "early": ("20900101000000Z", "20910101000000Z")}
"""Certificates for 127.0.0.1 that are not valid today, and when they are."""

CONFIGURATION = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = names
unique_subject = no
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1
"""


def make_certificates(folder: Path) -> Path:
    """Make NAME.pem and NAME.key for each; `issued` is signed by `authority`, the key `encrypted` has a password."""
    for name, subject in SUBJECTS.items():
        _openssl(
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName={subject}",
            f"-keyout {folder}/{name}.key -out {folder}/{name}.pem",
        )
    _openssl(f"rsa -aes128 -passout pass:word -in {folder}/client.key -out {folder}/encrypted.key")
    (folder / "ca.cnf").write_text(CONFIGURATION.format(folder=folder))
    (folder / "index.txt").write_text("")
    for name, (begins, ends) in DATES.items():
        _sign(folder, name, f"-selfsign -keyfile {folder}/{name}.key -startdate {begins} -enddate {ends}")
    _sign(folder, "issued", f"-cert {folder}/authority.pem -keyfile {folder}/authority.key -days 2")
    return folder


def _sign(folder: Path, name: str, how: str) -> None:
    request = f"{folder}/{name}.csr"
    _openssl(f"req -newkey rsa:2048 -nodes -keyout {folder}/{name}.key -out {request} -subj /CN={name}")
    _openssl(f"ca -batch -notext -config {folder}/ca.cnf {how} -in {request} -out {folder}/{name}.pem")


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *" ".join(words).split()], check=True, capture_output=True)


def encrypted(
    folder: Path, play: Play, name: str = "server", *, asks_client: bool = False, version: ssl.TLSVersion | None = None
) -> Play:
    """Play behind TLS, with the certificate of that name; where a client's is asked for, only `client` is accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if version is not None:
        context.maximum_version = version
    if asks_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "client.pem")

    def wrapped(connection: socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            read_request(inside)
            play(inside)

    return wrapped
