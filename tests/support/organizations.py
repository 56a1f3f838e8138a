"""A server that answers reads of Organizations as a test wants."""

from collections.abc import Callable

from exporter.demo.server import Request, Response

from . import fake
from .builders import Resource, completed, reference
from .rig import Rig


class Organizations:
    """A server that answers reads of some Organizations otherwise: `rules` by id. `read` lists the ids, in order."""

    def __init__(self, rig: Rig) -> None:
        self.rules: dict[str, Callable[[], Response]] = {}
        self.read: list[str] = []
        self._rig = rig
        rig.transport.answer = self

    def __call__(self, request: Request) -> Response:
        if "/Organization/" not in request.path:
            return fake.honest(self._rig.store)(request)
        name = request.path.rpartition("/")[2]
        self.read.append(name)
        rule = self.rules.get(name)
        return rule() if rule is not None else fake.honest(self._rig.store)(request)


def status(code: int, **headers: str) -> Callable[[], Response]:
    """Make a rule that answers with an empty body; a header's name is written with underscores."""
    given = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return lambda: Response(code, given, b"")


def owned(identifier: str, payer: str = "Organization/one") -> Resource:
    """Make a completed Task with an owner and no requester."""
    return completed(identifier, owner=reference(payer), requester=None)
