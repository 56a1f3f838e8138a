"""A time limit that no server can extend.

httpx's time-outs are for one read each: slow headers, endless `103` answers or a body of one byte a second pass them
indefinitely (measured). So the socket is held by a second handle, and shut down when time is up.
Name resolution is not covered, since it blocks inside the C library.

See docs/design.md#limits.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from time import monotonic
from types import TracebackType
from typing import Self


class TimeLimit:
    """Ends a window after `seconds`, and each request in it after `each`. Once it is `over` it stays so.

    One connection at a time is held: a new one takes the place of the last. `held` is the handle of one that was kept
    from an earlier window, handed on by that window's limit.
    One thread a window. It need never be woken for a new request: while none runs it looks at the clock every `each`
    seconds, and a request that begins meanwhile ends later than that.
    """

    def __init__(self, seconds: float, each: float, held: socket.socket | None = None) -> None:
        self._each = each
        self._end = monotonic() + seconds
        self._due: float | None = None
        self._over = False
        self.held = held
        self._change = threading.Condition()
        self._left = False

    def __enter__(self) -> Self:
        """Start to watch the time."""
        threading.Thread(target=self._wait, name="time-limit", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return the second handle back."""
        with self._change:
            self._left = True
            self._change.notify()
            self._let_go()

    def hand_on(self) -> socket.socket | None:
        """Let go of the connection, for another limit to hold; from now on this one does not cut it."""
        with self._change:
            held, self.held = self.held, None
            return held

    @property
    def over(self) -> bool:
        """Whether the time is up. To be asked after every answer: a cut one can look like a short one."""
        return self._over or monotonic() >= self._next(monotonic())

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Limit what is done inside to `each` seconds."""
        self._due = monotonic() + self._each
        try:
            yield
        finally:
            self._over = self.over  # the thread may not have woken yet
            self._due = None

    def watch(self, event: str, info: Mapping[str, object]) -> None:
        """Take a second handle of a new connection: httpx's `trace` extension calls this."""
        if event != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        held = stream.get_extra_info("socket").dup()  # type: ignore[attr-defined] # httpcore's NetworkStream
        with self._change:
            self._let_go()
            self.held = held
            if self._over:
                self._cut()

    def _next(self, now: float) -> float:
        """Say when to look at the clock again."""
        due = self._due
        return min(self._end, now + self._each if due is None else due)

    def _wait(self) -> None:
        with self._change:
            while not self._left:
                now = monotonic()
                left = self._next(now) - now
                if left <= 0:
                    self._over = True
                    self._cut()
                    return
                self._change.wait(left)

    def _cut(self) -> None:
        if self.held is not None:
            with contextlib.suppress(OSError):
                self.held.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self.held is not None:
            self.held.close()
            self.held = None
