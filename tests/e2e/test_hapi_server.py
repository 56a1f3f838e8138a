"""What the other end-to-end tests, and docs/fhir-quirks.md#measured, take for granted about HAPI FHIR."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ..support.builders import task
from .hapi_server import HapiServer, Parameters, Resource, hapi, load_tasks, require_hapi

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),  # the first run on a machine fetches 299 MB
]

SYSTEM = "http://example.org/e2e"
TERMINAL = ("completed", "failed", "cancelled", "rejected", "entered-in-error")


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    """A laptop without Java may skip these tests; CI may not."""
    require_hapi()


@pytest.fixture(scope="module")
def server() -> Iterator[HapiServer]:
    """One for all: starting takes longer than any test here, so each test keeps to a tag of its own."""
    with hapi(max_page=20) as running:
        yield running


def tagged(code: str, identifier: str, status: str | None = "requested", **elements: Any) -> Resource:
    return task(identifier, status, meta={"tag": [{"system": SYSTEM, "code": code}]}, **elements)


def found(server: HapiServer, code: str, parameters: Parameters | None = None, *, fresh: bool = True) -> list[str]:
    """Ids in the order of the answer, first page only."""
    answer = search(server, code, parameters, fresh=fresh).raise_for_status()
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


def search(
    server: HapiServer, code: str, parameters: Parameters | None = None, *, fresh: bool = True
) -> httpx.Response:
    ordered = {"_tag": f"{SYSTEM}|{code}", "_sort": "_lastUpdated,_id", "_count": "1000"}
    return server.get("Task", ordered | dict(parameters or {}), fresh=fresh)


def stamp(resource: Resource) -> str:
    return str(resource["meta"]["lastUpdated"])


def test_a_task_keeps_the_id_that_the_client_chose(server: HapiServer) -> None:
    stored = server.put(tagged("id", "p2p-task-ab123"))
    assert stored["meta"]["versionId"] == "1"
    assert server.get("Task/p2p-task-ab123").json()["status"] == "requested"


def test_a_search_by_tag_and_stamp_comes_in_the_order_of_stamps(server: HapiServer) -> None:
    older, newer = (server.put(tagged("order", identifier)) for identifier in ("order-b", "order-a"))
    server.put(tagged("other", "order-other"))
    assert found(server, "order", {"_lastUpdated": f"ge{stamp(older)}"}) == ["order-b", "order-a"]
    assert found(server, "order", {"_lastUpdated": f"ge{stamp(newer)}"}) == ["order-a"]


def test_bounds_on_the_stamp_are_exact_to_the_millisecond(server: HapiServer) -> None:
    first, second, third = (stamp(server.put(tagged("bounds", f"bounds-{number}"))) for number in (1, 2, 3))
    assert found(server, "bounds", {"_lastUpdated": f"eq{second}"}) == ["bounds-2"]
    assert found(server, "bounds", {"_lastUpdated": f"gt{second}"}) == ["bounds-3"]
    assert found(server, "bounds", {"_lastUpdated": [f"ge{first}", f"lt{third}"]}) == ["bounds-1", "bounds-2"]
    assert found(server, "bounds", {"_lastUpdated": [f"ge{second}", f"lt{second}"]}) == []


def test_the_same_search_gets_an_old_answer_unless_the_client_forbids_it(server: HapiServer) -> None:
    server.put(tagged("cache", "cache-1"))
    assert found(server, "cache", fresh=False) == ["cache-1"]
    server.put(tagged("cache", "cache-2"))

    again = search(server, "cache", fresh=False)
    assert again.headers["X-Cache"].startswith("HIT")
    assert len(again.json()["entry"]) == 1

    forced = search(server, "cache")
    assert "X-Cache" not in forced.headers
    assert len(forced.json()["entry"]) == 2


def test_open_tasks_are_those_that_are_not_terminal_even_without_a_status(server: HapiServer) -> None:
    for status in (*TERMINAL, "requested", "in-progress", "on-hold", None):
        server.put(tagged("open", f"open-{status or 'none'}".lower(), status))
    still_open = found(server, "open", {"status:not": ",".join(TERMINAL)})
    assert still_open == ["open-requested", "open-in-progress", "open-on-hold", "open-none"]


def test_a_count_comes_without_entries(server: HapiServer) -> None:
    load_tasks(server.base, (tagged("count", f"count-{number}", "failed") for number in range(7)), per_transaction=3)
    counted = search(server, "count", {"_summary": "count", "status": "failed"}).json()
    assert counted["total"] == 7
    assert "entry" not in counted


def test_a_page_is_no_longer_than_the_server_likes(server: HapiServer) -> None:
    assert load_tasks(server.base, (tagged("page", f"page-{number:02}") for number in range(25))) == 25
    page = search(server, "page").json()
    assert len(page["entry"]) == 20
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert following.startswith(server.base)
    assert len(server.http.get(following).json()["entry"]) == 5


def test_a_transaction_has_one_stamp(server: HapiServer) -> None:
    load_tasks(server.base, (tagged("stamp", f"stamp-{number}") for number in range(5)))
    assert len({stamp(entry["resource"]) for entry in search(server, "stamp").json()["entry"]}) == 1


def test_only_a_change_of_content_makes_a_version(server: HapiServer) -> None:
    before = server.put(tagged("change", "change-1"))
    unchanged = server.put(tagged("change", "change-1"))
    assert (unchanged["meta"]["versionId"], stamp(unchanged)) == ("1", stamp(before))
    patched = server.patch("Task/change-1", [{"op": "replace", "path": "/status", "value": "failed"}])
    assert (patched["status"], patched["meta"]["versionId"]) == ("failed", "2")
    assert stamp(patched) > stamp(before)


def test_tags_come_and_go_without_version_or_stamp(server: HapiServer) -> None:
    before = server.put(tagged("here", "moved-1"))
    server.meta_add("Task/moved-1", SYSTEM, "there")
    server.meta_delete("Task/moved-1", SYSTEM, "here")
    after = server.get("Task/moved-1").json()
    assert (found(server, "here"), found(server, "there")) == ([], ["moved-1"])
    assert after["meta"]["versionId"] == before["meta"]["versionId"]
    assert stamp(after) == stamp(before)


def test_a_deleted_task_goes_on_counting_versions_and_an_expunged_one_starts_again(server: HapiServer) -> None:
    server.put(tagged("gone", "gone-1"))
    server.delete("Task/gone-1")
    assert server.get("Task/gone-1").status_code == 410
    assert int(server.put(tagged("gone", "gone-1"))["meta"]["versionId"]) > 2

    server.expunge("Task/gone-1")
    assert server.get("Task/gone-1").status_code == 404
    assert found(server, "gone") == []
    assert server.put(tagged("gone", "gone-1"))["meta"]["versionId"] == "1"


def test_a_server_can_lose_its_search_by_tag() -> None:
    with hapi(tags="INLINE", cache=False) as server:
        server.put(tagged("inline", "inline-1"))
        assert found(server, "inline", fresh=False) == ["inline-1"]
        server.put(tagged("inline", "inline-2"))
        assert found(server, "inline", fresh=False) == ["inline-1", "inline-2"], "the result cache is off"

        server.retire_tag_search()
        refused = search(server, "inline")
        assert refused.status_code == 400
        assert "HAPI-1223" in refused.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base, trust_env=False)
