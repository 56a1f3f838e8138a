"""Checks passwords against bcrypt hashes, in a thread of its own, one at a time.

Rule 1: every failure costs the same work, whoever the user is and however long the password: time says nothing.
Rule 2: clients cannot pile up work: few checks wait, and fewer of one address. What was found out is kept.
Rule 3: no password is kept once it is checked; results are kept under a keyed hash.

See docs/web-configuration.md#passwords.
"""

import hmac
import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from ..config.web_options import cost_of
from ..logs import log_bug

logger = logging.getLogger(__name__)

LONGEST = 72
"""Bytes that bcrypt looks at; a longer password is refused, since others with the same beginning would do as well."""
KEPT = 100
"""Results of each kind, right and wrong; as many as the toolkit keeps. Wrong ones never push out right ones."""
MAX_WAITING = 16
MAX_WAITING_OF_ONE_ADDRESS = 4

Hash = Callable[[bytes, bytes], bytes]
"""Hashes a password with the salt and the cost of a hash, as `bcrypt.hashpw` does."""


class Credentials(NamedTuple):
    """What a client sent, and its address."""

    user: str
    password: bytes
    address: str


class TooManyWaiting(Exception):
    """Too many other passwords wait to be checked."""


def _bcrypt(password: bytes, salt: bytes) -> bytes:
    import bcrypt  # half a megabyte that only passwords need

    return bcrypt.hashpw(password, salt)


class Verifier:
    """Does the work of a check. `hashed` does the hashing."""

    def __init__(self, hashed: Hash = _bcrypt) -> None:
        self._hash = hashed
        self._salt = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(21)) + "."

    def matches(self, stored: bytes | None, password: bytes, highest_cost: int) -> bool:
        """Whether a password fits a hash, None for an unknown user. A failure costs as much as the most expensive hash.

        Each step of the cost doubles the work, so work of the costs c, c, c+1, … h-1 adds up to that of h.
        """
        short = password[:LONGEST]
        if stored is None:
            self._waste(short, highest_cost)
            return False
        fits = hmac.compare_digest(self._hash(short, stored), stored)
        if fits and len(password) <= LONGEST:
            return True
        for cost in range(cost_of(stored), highest_cost):
            self._waste(short, cost)
        return False

    def _waste(self, password: bytes, cost: int) -> None:
        self._hash(password, f"$2b${cost:02}${self._salt}".encode())


class _Check(NamedTuple):
    key: bytes
    stored: bytes | None
    credentials: Credentials
    highest_cost: int
    result: "Future[bool]"


class Passwords:
    """Answers at once what it has found out before; the rest in a thread, which ends when nothing waits."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self._verifier = verifier or Verifier()
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: dict[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}
        self._waiting: dict[bytes, _Check] = {}
        self._queue: deque[_Check] = deque()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def stop(self, timeout_seconds: float) -> None:
        """Cancel the checks that wait, and wait for the one in progress for at most so long.

        bcrypt aborts the process if it comes back to Python while that shuts down.
        """
        with self._lock:
            self._stopped = True
            while self._queue:
                self._queue.popleft().result.cancel()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)

    def check(self, users: Mapping[str, bytes], credentials: Credentials) -> "bool | Future[bool]":
        """Check a password; equal ones share a check. Raises TooManyWaiting."""
        stored = users.get(credentials.user)
        key = self._key(stored, credentials)
        with self._lock:
            for verdict, known in self._known.items():
                if key in known:
                    known.move_to_end(key)
                    return verdict
            if (check := self._waiting.get(key)) is None:
                self._admit(credentials.address)
                highest = max(cost_of(each) for each in users.values())
                check = _Check(key, stored, credentials, highest, Future())
                self._waiting[key] = check
                self._queue.append(check)
                self._start()
        return check.result

    def _key(self, stored: bytes | None, credentials: Credentials) -> bytes:
        """Name a check. The stored hash is part of it: a user who gets another one, or is removed, is checked again."""
        user = credentials.user.encode("utf-8", "surrogatepass")
        parts = (stored or b"", user, credentials.password)
        return hmac.digest(self._secret, b"".join(len(each).to_bytes(4, "big") + each for each in parts), "sha256")

    def _admit(self, address: str) -> None:
        same = sum(check.credentials.address == address for check in self._waiting.values())
        if self._stopped or len(self._waiting) >= MAX_WAITING or same >= MAX_WAITING_OF_ONE_ADDRESS:
            raise TooManyWaiting

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="passwords", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (check := self._next()) is not None:
            self._work(check)

    def _next(self) -> _Check | None:
        """Take the next check; without one the thread ends, and is no longer ours."""
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._thread = None
            return None

    def _work(self, check: _Check) -> None:
        verdict = False
        try:
            verdict = self._verifier.matches(check.stored, check.credentials.password, check.highest_cost)
        except Exception as error:  # noqa: BLE001 - a bug refuses one password, and does not end the thread
            log_bug(logger, "a password could not be checked", error)
        with self._lock:
            del self._waiting[check.key]
            known = self._known[verdict]
            known[check.key] = None
            if len(known) > KEPT:
                known.popitem(last=False)
        check.result.set_result(verdict)
