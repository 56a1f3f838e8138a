import base64
import os
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.errors import AuthFailed
from exporter.fhir.auth import Anonymous, Auth, Basic, BearerFile

CANARY = "TOKEN-CANARY-77"
WAYS: list[Callable[[Path], Auth]] = [BearerFile, lambda path: Basic("name", path)]


def told(auth: Auth) -> str:
    """Return what a person would read of the failure."""
    with pytest.raises(AuthFailed) as raised:
        auth.headers()
    return "".join(traceback.format_exception(raised.value))


def bearer(auth: Auth) -> str:
    return auth.headers()["Authorization"].removeprefix("Bearer ")


def test_nobody_sends_nothing() -> None:
    assert Anonymous().headers() == {}
    assert not Anonymous().renew({})


@pytest.mark.parametrize("written", [b"abc", b"abc\n", b"  abc \r\n\n", b"\xef\xbb\xbfabc\n"])
def test_blanks_around_a_token_do_not_count(tmp_path: Path, written: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(written)
    assert bearer(BearerFile(file)) == "abc"


def test_basic_sends_name_and_password_in_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pässword:1\n", "utf-8")
    sent = Basic("jürgen", file).headers()["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "jürgen:pässword:1"


def test_a_token_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    auth = BearerFile(file)
    assert bearer(auth) == "first"
    file.write_text("second token".replace(" ", "-"))
    assert bearer(auth) == "second-token"


def test_a_token_is_read_again_when_a_link_is_swapped(tmp_path: Path) -> None:
    for name in ("first", "other"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    link = tmp_path / "token"
    link.symlink_to("first")
    auth = BearerFile(link)
    assert bearer(auth) == "first"
    (tmp_path / "new").symlink_to("other")
    (tmp_path / "new").rename(link)
    assert bearer(auth) == "other"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    os.utime(file, (1, 1))
    auth = BearerFile(file)
    assert bearer(auth) == "first"
    file.write_text("other")
    os.utime(file, (1, 1))
    assert bearer(auth) == "first"


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_makes_it_look_at_the_file_itself(tmp_path: Path, way: Callable[[Path], Auth]) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    os.utime(file, (1, 1))
    auth = way(file)
    before = auth.headers()
    assert not auth.renew(before)
    file.write_text("other")
    os.utime(file, (1, 1))
    assert auth.renew(before)
    assert auth.headers() != before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("written", [b"", b" \n", b"\xff" + CANARY.encode(), CANARY.encode() * 9999])
def test_a_secret_that_is_none_is_refused_with_its_path(
    tmp_path: Path, way: Callable[[Path], Auth], written: bytes
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(written)
    text = told(way(file))
    assert str(file) in text
    assert CANARY not in text


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, way: Callable[[Path], Auth]) -> None:
    assert str(tmp_path / "absent") in told(way(tmp_path / "absent"))
    assert str(tmp_path) in told(way(tmp_path))


@pytest.mark.parametrize("inside", ["\r\nX-Header: y", " ", "\x00", "é", "\x7f"])
def test_a_token_cannot_break_a_header(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}{inside}x", "utf-8")
    assert CANARY not in told(BearerFile(file))


def test_a_file_that_goes_away_ends_the_authentication(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(CANARY)
    auth = BearerFile(file)
    assert bearer(auth) == CANARY
    file.unlink()
    assert CANARY not in told(auth)
    file.write_text("again")
    assert bearer(auth) == "again"


@pytest.mark.parametrize("way", WAYS)
def test_no_repr_shows_a_secret(tmp_path: Path, way: Callable[[Path], Auth]) -> None:
    file = tmp_path / "secret"
    file.write_text(CANARY)
    auth = way(file)
    auth.headers()
    assert CANARY not in repr(auth) + str(auth)


def ends(work: Callable[[], object]) -> object:
    """Return what it gives or raises; fails where it waits."""
    given: list[object] = []

    def run() -> None:
        try:
            given.append(work())
        except AuthFailed as error:
            given.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert given, "it waits"
    return given[0]


def test_a_pipe_gives_its_secret_once_and_for_good(tmp_path: Path) -> None:
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=("abc",), daemon=True).start()
    auth = BearerFile(pipe)
    first = ends(auth.headers)
    assert first == {"Authorization": "Bearer abc"}
    assert ends(auth.headers) == first
    assert ends(lambda: auth.renew({"Authorization": "Bearer abc"})) is False


def test_a_file_that_became_a_pipe_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc")
    auth = BearerFile(file)
    assert bearer(auth) == "abc"
    file.unlink()
    os.mkfifo(file)
    assert "something else than a regular file" in str(ends(auth.headers))
    file.unlink()
    file.write_text("next")
    assert bearer(auth) == "next"
