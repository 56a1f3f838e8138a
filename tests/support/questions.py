"""Questions to a simulated server, asked without httpx."""

import json
from typing import Any

from exporter.demo.server import Response
from exporter.demo.store import Store
from tests.support.builders import task
from tests.support.fake import BASE, Answer, HandClock, get, store


def holding(*identifiers: str, clock: HandClock | None = None) -> Store:
    """Make a server with these Tasks, `a` to `e` if none is named."""
    made = store(clock)
    for identifier in identifiers or ("a", "b", "c", "d", "e"):
        made.put(task(identifier))
    return made


def ids(bundle: Any) -> list[str]:
    """List the ids of a page, in order."""
    return [entry["resource"]["id"] for entry in bundle.get("entry", []) if "resource" in entry]


def search(answer: Answer, *query: tuple[str, str], **headers: str) -> Any:
    """Search for Tasks; give the Bundle."""
    return json.loads(get(answer, "/Task", *query, headers=headers).body)


def links(bundle: Any) -> dict[str, str]:
    """Give the links of a page by their relation."""
    return {link["relation"]: link["url"] for link in bundle["link"]}


def follow(answer: Answer, bundle: Any) -> Response:
    """Ask for the next page."""
    query = links(bundle)["next"].removeprefix(BASE + "?")
    return get(answer, "", *(tuple(pair.split("=", 1)) for pair in query.split("&")))  # type: ignore[arg-type]


def walk(answer: Answer, *query: tuple[str, str], most: int = 9) -> list[list[str]]:
    """Follow the links of a search; give the ids page by page, of so many pages at most."""
    bundle = search(answer, *query)
    pages = [ids(bundle)]
    while "next" in links(bundle) and len(pages) < most:
        bundle = json.loads(follow(answer, bundle).body)
        pages.append(ids(bundle))
    return pages


def version(made: Store, identifier: str = "a") -> str:
    """Give the version of a Task that the server holds."""
    record = made.get("Task", identifier)
    assert record
    return record.version
