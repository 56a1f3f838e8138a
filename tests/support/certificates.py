"""Certificates for tests of the web server, made in the process: an authority, and what it signs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOOPBACK = (x509.IPAddress(ip_address("127.0.0.1")),)


class Authority:
    """Signs certificates; its own is in `ca_file`, signed by itself or by the authority `above`."""

    def __init__(self, folder: Path, name: str = "ca", above: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.ca_file = folder / f"{name}.pem"
        authority = x509.BasicConstraints(ca=True, path_length=None)
        (above or self)._write(self.ca_file, _begun(self._name, self._key).add_extension(authority, critical=True))

    def issue(self, folder: Path, name: str, sans: Sequence[x509.GeneralName] = LOOPBACK) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key, over what is there; gives both paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, key_file = folder / f"{name}.pem", folder / f"{name}.key"
        builder = _begun(_named(name), key)
        self._write(certificate, builder.add_extension(x509.SubjectAlternativeName(sans), critical=False))
        _replace(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key_file

    def _write(self, file: Path, builder: x509.CertificateBuilder) -> None:
        _replace(file, builder.issuer_name(self._name).sign(self._key, SHA256()).public_bytes(Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=name, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(file)
