"""Passwords: equal work for every failure, results that are kept, and a bounded queue."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future

import bcrypt
import pytest

from exporter.config.web_options import cost_of
from exporter.web.passwords import (
    KEPT,
    MAX_WAITING,
    MAX_WAITING_OF_ONE_ADDRESS,
    Credentials,
    Passwords,
    TooManyWaiting,
    Verifier,
)

from .fake_backend import HANGS, wait_until

SALT = "abcdefghijklmnopqrstu."


def stored(password: bytes, cost: int) -> bytes:
    """A hash of the fake kind: as long and as costly as a real one says, but made at once."""
    return f"$2b${cost:02}${SALT}{password.decode('latin-1'):_<31}".encode("latin-1")


class Work:
    """Hashes without work, and remembers the costs."""

    def __init__(self) -> None:
        self.costs: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, password: bytes, salt: bytes) -> bytes:
        assert len(password) <= 72, "bcrypt refuses more"
        assert self.go.wait(HANGS)
        self.costs.append(cost_of(salt))
        return salt[:29] + stored(password, 4)[29:]

    @property
    def total(self) -> int:
        return sum(2**cost for cost in self.costs)


USERS = {"low": stored(b"right", 4), "middle": stored(b"right", 6), "high": stored(b"right", 9)}


def verdict(passwords: Passwords, user: str, password: bytes, users: Mapping[str, bytes] = USERS) -> bool:
    found = passwords.check(users, Credentials(user, password, "192.0.2.1"))
    return found.result(HANGS) if isinstance(found, Future) else found


@pytest.mark.parametrize("user", ["low", "middle", "high", "nobody", ""])
@pytest.mark.parametrize("password", [b"wrong", b"", b"right" + b"x" * 80, b"x" * 72, b"x" * 73, b"\xff\x00"])
def test_every_failure_costs_the_work_of_the_dearest_hash(user: str, password: bytes) -> None:
    work = Work()
    assert verdict(Passwords(Verifier(work)), user, password) is False
    assert work.total == 2**9


@pytest.mark.parametrize("user", USERS)
def test_the_right_password_costs_its_own_hash(user: str) -> None:
    work = Work()
    assert verdict(Passwords(Verifier(work)), user, b"right") is True
    assert work.costs == [cost_of(USERS[user])]


def test_a_password_over_72_bytes_is_refused_though_its_beginning_fits() -> None:
    long = b"x" * 72
    users = {"user": bcrypt.hashpw(long, bcrypt.gensalt(4))}
    assert verdict(Passwords(), "user", long, users) is True
    assert verdict(Passwords(), "user", long + b"y", users) is False


@pytest.mark.parametrize("version", ["2a", "2b", "2x", "2y"])
def test_real_bcrypt_of_every_version_that_the_file_may_hold(version: str) -> None:
    salt = bcrypt.gensalt(4).replace(b"$2b$", f"${version}$".encode())
    users = {"user": bcrypt.hashpw(b"p\x00w", salt)}
    passwords = Passwords()
    assert verdict(passwords, "user", b"p\x00w", users) is True
    assert verdict(passwords, "user", b"p", users) is False


def test_a_result_is_kept_and_costs_nothing_again() -> None:
    work = Work()
    passwords = Passwords(Verifier(work))
    for _ in range(3):
        assert verdict(passwords, "low", b"right") is True
        assert verdict(passwords, "low", b"wrong") is False
        assert verdict(passwords, "nobody", b"wrong") is False
    assert work.total == 2**4 + 2 * 2**9


def test_a_user_who_is_removed_or_gets_another_password_is_checked_anew() -> None:
    passwords = Passwords(Verifier(Work()))
    assert verdict(passwords, "low", b"right") is True
    changed = USERS | {"low": stored(b"other", 4)}
    assert verdict(passwords, "low", b"right", changed) is False
    assert verdict(passwords, "low", b"other", changed) is True
    removed = {name: each for name, each in USERS.items() if name != "low"}
    assert verdict(passwords, "low", b"right", removed) is False


def test_wrong_passwords_do_not_push_out_right_ones_and_are_not_kept_for_ever() -> None:
    work = Work()
    passwords = Passwords(Verifier(work))
    assert verdict(passwords, "high", b"right") is True
    for number in range(KEPT + 1):
        assert verdict(passwords, "high", f"wrong {number}".encode()) is False
    work.costs.clear()
    assert verdict(passwords, "high", b"right") is True
    assert work.costs == []
    assert verdict(passwords, "high", b"wrong 0") is False
    assert work.costs == [9]


def test_no_password_is_kept_once_it_is_checked() -> None:
    passwords = Passwords(Verifier(Work()))
    verdict(passwords, "low", b"right")
    assert b"right" not in repr(vars(passwords)).encode()


def check(passwords: Passwords, number: int, address: str) -> "bool | Future[bool]":
    return passwords.check(USERS, Credentials("low", f"wrong {number}".encode(), address))


def test_few_checks_wait_and_fewer_of_one_address() -> None:
    work = Work()
    passwords = Passwords(Verifier(work))
    work.go.clear()
    for number in range(MAX_WAITING):
        check(passwords, number, f"192.0.2.{number // MAX_WAITING_OF_ONE_ADDRESS}")
        if number == MAX_WAITING_OF_ONE_ADDRESS - 1:
            with pytest.raises(TooManyWaiting):
                check(passwords, 1000, "192.0.2.0")
    with pytest.raises(TooManyWaiting):
        check(passwords, 1000, "192.0.2.99")
    again = check(passwords, MAX_WAITING - 1, "192.0.2.99")
    work.go.set()
    assert isinstance(again, Future), "an equal check is shared, and takes no place"
    assert again.result(HANGS) is False
    assert work.total == MAX_WAITING * 2**9
    wait_until(lambda: not passwords._waiting)
    assert verdict(passwords, "low", b"right") is True


def test_one_check_at_a_time() -> None:
    running, most = 0, 0

    def slow(password: bytes, salt: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.01)
        running -= 1
        return salt + password

    passwords = Passwords(Verifier(slow))
    found = [check(passwords, number, f"192.0.2.{number}") for number in range(8)]
    for each in found:
        assert isinstance(each, Future)
        assert each.result(HANGS) is False
    assert most == 1


def test_the_thread_ends_when_nothing_waits_and_begins_again() -> None:
    passwords = Passwords(Verifier(Work()))
    for password in (b"one", b"two"):
        assert verdict(passwords, "low", password) is False
        wait_until(lambda: passwords._thread is None)


def test_a_stop_waits_for_the_check_in_progress_and_cancels_the_others() -> None:
    work = Work()
    work.go.clear()
    passwords = Passwords(Verifier(work))
    first = passwords.check(USERS, Credentials("high", b"1", "192.0.2.1"))
    thread = passwords._thread
    assert thread is not None
    wait_until(lambda: not passwords._queue)
    second = passwords.check(USERS, Credentials("high", b"2", "192.0.2.1"))
    passwords.stop(0)
    assert isinstance(second, Future)
    assert second.cancelled()
    with pytest.raises(TooManyWaiting):
        passwords.check(USERS, Credentials("high", b"3", "192.0.2.1"))
    work.go.set()
    passwords.stop(HANGS)
    assert not thread.is_alive()
    assert isinstance(first, Future)
    assert first.done()


def test_a_bug_refuses_one_password_and_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    failures = iter([True])

    def broken(password: bytes, salt: bytes) -> bytes:
        if next(failures, False):
            message = f"canary {password!r}"
            raise RuntimeError(message)
        return Work()(password, salt)

    passwords = Passwords(Verifier(broken))
    assert verdict(passwords, "low", b"wrong") is False
    assert verdict(passwords, "low", b"right") is True
    assert "canary" not in caplog.text
    assert "RuntimeError" in str([vars(each) for each in caplog.records])
