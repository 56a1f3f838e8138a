"""A second small server, for this machine alone: where `demo` shows the simulated FHIR server."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config


def host(make: Callable[[str], Any]) -> str:
    """Serve the ASGI application that `make` gives for its address, on a free port, until the process ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application, config = make(address), Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"

    async def run() -> None:
        await serve(application, config, shutdown_trigger=asyncio.Event().wait, mode="asgi")

    threading.Thread(target=lambda: asyncio.run(run()), name="loopback", daemon=True).start()
    return address
