import json
from typing import Any

import pytest

from exporter.demo.dates import format_stamp
from exporter.demo.server import CURSOR_LIFE_MS, FIRST_STAGE, Response
from exporter.demo.store import ELEMENTS, Store
from exporter.task.model import Coding
from tests.support.builders import CODE, TAG, concept, meta, organization, task
from tests.support.fake import START, HandClock, get, store, transport

TOKEN = f"{TAG.system}|{TAG.code}"
Bundle = dict[str, Any]


def body(response: Response) -> Bundle:
    loaded: Bundle = json.loads(response.body)
    return loaded


def search(source: Store, *query: tuple[str, str]) -> Bundle:
    response = get(source, "/Task", *query)
    assert response.status == 200, response.body
    return body(response)


def ids(bundle: Bundle) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def follow(source: Store, bundle: Bundle) -> Bundle | None:
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    if "next" not in links:
        return None
    query = links["next"].removeprefix(source.base + "?")
    pairs = tuple((name, value) for name, _, value in (pair.partition("=") for pair in query.split("&")))
    return body(get(source, "", *pairs))


def walked(source: Store, *query: tuple[str, str]) -> list[list[str]]:
    pages, bundle = [], search(source, *query)
    while bundle:
        pages.append(ids(bundle))
        following = follow(source, bundle)
        if following is None:
            break
        bundle = following
    return pages


def stamped(*hours_and_ids: tuple[float, str]) -> Store:
    clock = HandClock()
    made = store(clock)
    for seconds, identifier in hours_and_ids:
        clock.set(START + round(seconds * 1000))
        made.put(task(identifier))
    return made


def test_an_empty_server_answers_a_search_without_entries() -> None:
    bundle = search(store(), ("_tag", TOKEN))
    assert bundle["type"] == "searchset"
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_every_page_has_the_time_of_its_search() -> None:
    clock = HandClock()
    made = store(clock)
    made.put(task("a"))
    made.put(task("b"))
    first = search(made, ("_count", "1"))
    clock.advance(60)
    second = follow(made, first)
    assert second
    assert first["meta"]["lastUpdated"] == second["meta"]["lastUpdated"] == format_stamp(START)


def test_a_task_comes_with_the_version_and_stamp_of_the_server() -> None:
    made = stamped((0, "a"), (5, "a"))
    (entry,) = search(made)["entry"]
    assert entry["resource"]["meta"]["versionId"] == "1", "an unchanged put makes no version"
    made.put(task("a", "in-progress"))
    (entry,) = search(made)["entry"]
    assert entry["resource"]["meta"]["versionId"] == "2"
    assert entry["resource"]["meta"]["lastUpdated"] == format_stamp(START + 5000)
    assert entry["search"] == {"mode": "match"}


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ("ge", ["b", "c", "d"]),
        ("gt", ["d"]),
        ("le", ["a", "b", "c"]),
        ("lt", ["a"]),
        ("eq", ["b", "c"]),
        ("", ["b", "c"]),
    ],
)
def test_bounds_mean_what_fhir_says(bound: str, found: list[str]) -> None:
    made = stamped((0, "a"), (1, "c"), (1, "b"), (2, "d"))
    assert ids(search(made, ("_lastUpdated", bound + format_stamp(START + 1000)))) == found


def test_a_bound_of_less_precision_means_the_whole_second_or_day() -> None:
    made = stamped((0, "a"), (0.5, "b"), (1, "c"))
    second = format_stamp(START)[:19]
    assert ids(search(made, ("_lastUpdated", f"gt{second}Z"))) == ["c"]
    assert ids(search(made, ("_lastUpdated", f"eq{second}+00:00"))) == ["a", "b"]
    assert ids(search(made, ("_lastUpdated", second[:10]))) == ["a", "b", "c"]


def test_two_bounds_are_both_obeyed_and_two_lower_ones_refused() -> None:
    made = stamped((0, "a"), (1, "b"), (2, "c"))
    low, high = format_stamp(START + 1000), format_stamp(START + 2000)
    assert ids(search(made, ("_lastUpdated", f"ge{low}"), ("_lastUpdated", f"lt{high}"))) == ["b"]
    assert ids(search(made, ("_lastUpdated", f"lt{low}"), ("_lastUpdated", f"ge{low}"))) == []
    assert get(made, "/Task", ("_lastUpdated", f"ge{low}"), ("_lastUpdated", f"ge{high}")).status == 400


def test_tag_code_status_and_id_all_narrow_a_search() -> None:
    made = store()
    made.put(task("ours"))
    made.put(task("untagged", meta=meta()))
    made.put(task("other-code", code=concept(Coding("x", "y"))))
    made.put(task("done", "completed"))
    made.put(task("none", None))
    code = f"{CODE.system}|{CODE.code}"
    assert ids(search(made, ("_tag", TOKEN))) == ["done", "none", "other-code", "ours"]
    assert ids(search(made, ("_tag", TOKEN), ("code", code))) == ["done", "none", "ours"]
    assert ids(search(made, ("_tag", TOKEN), ("status", "requested,completed"))) == ["done", "other-code", "ours"]
    assert ids(search(made, ("status:not", "requested,failed"))) == ["done", "none"]
    assert ids(search(made, ("_id", "ours,untagged,missing"))) == ["ours", "untagged"]
    assert ids(search(made, ("_id", "ours,untagged"), ("_tag", TAG.code))) == ["ours"]


def test_answers_are_sorted_by_stamp_then_id_over_all_statuses() -> None:
    clock = HandClock()
    made = store(clock)
    for n, status in enumerate(("requested", "failed", "requested", "completed", "failed")):
        made.put(task(f"t{9 - n}", status), stamp=START + (n // 2))
    assert ids(search(made, ("_sort", "_lastUpdated,_id"))) == ["t8", "t9", "t6", "t7", "t5"]
    assert ids(search(made, ("_sort", "-_lastUpdated"))) == ["t5", "t6", "t7", "t8", "t9"]


def test_a_version_with_an_old_stamp_is_sorted_by_it() -> None:
    made = stamped((0, "a"), (2, "b"))
    made.put(task("c"), stamp=START + 1000)
    assert ids(search(made)) == ["a", "c", "b"]
    assert ids(search(made, ("_lastUpdated", "ge" + format_stamp(START + 1500)))) == ["b"]
    assert ids(search(made, ("_lastUpdated", "lt" + format_stamp(START + 1500)))) == ["a", "c"]


def test_pages_hold_every_task_once_and_the_last_has_no_next() -> None:
    made = stamped(*((n // 3, f"t{n}") for n in range(7)))
    assert walked(made, ("_count", "3")) == [["t0", "t1", "t2"], ["t3", "t4", "t5"], ["t6"]]


def test_count_is_clamped_silently() -> None:
    made = store()
    made.page_limit = 2
    for n in range(3):
        made.put(task(f"t{n}"))
    first = search(made, ("_count", "1000"))
    assert len(ids(first)) == 2
    assert "_count=1000" in first["link"][0]["url"]


def test_between_pages_an_update_keeps_its_place_and_a_delete_shortens_the_page() -> None:
    made = stamped(*((n, f"t{n}") for n in range(4)))
    first = search(made, ("_count", "2"))
    made.put(task("t2", "failed"))
    made.delete("t3")
    second = follow(made, first)
    assert second
    assert ids(second) == ["t2"]
    assert second["entry"][0]["resource"]["status"] == "failed"


def test_beyond_the_first_stage_what_changed_comes_last() -> None:
    made = store()
    for n in range(FIRST_STAGE + 2):
        made.put(task(f"t{n:05}"), stamp=START + n)
    first = search(made, ("_count", "200"))
    assert "total" not in first
    made.put(task(f"t{FIRST_STAGE:05}", "failed"), stamp=START + FIRST_STAGE + 5)
    pages = [first]
    while following := follow(made, pages[-1]):
        pages.append(following)
    found = [identifier for page in pages for identifier in ids(page)]
    assert found[-2:] == [f"t{FIRST_STAGE + 1:05}", f"t{FIRST_STAGE:05}"]
    assert len(found) == len(set(found)) == FIRST_STAGE + 2


def test_a_page_link_is_forgotten_after_an_hour() -> None:
    clock = HandClock()
    made = store(clock)
    made.put(task("a"))
    made.put(task("b"))
    first = search(made, ("_count", "1"))
    clock.advance(CURSOR_LIFE_MS / 1000 + 1)
    gone = follow(made, first)
    assert gone
    assert gone["resourceType"] == "OperationOutcome"
    assert "HAPI-0417" in gone["issue"][0]["diagnostics"]


def test_a_count_has_a_total_and_no_entries() -> None:
    made = stamped((0, "a"), (1, "b"), (2, "c"))
    made.put(task("b", "failed"))
    count = ("_summary", "count")
    assert search(made, count)["total"] == 3
    assert search(made, count, ("status", "failed"))["total"] == 1
    assert search(made, count, ("_lastUpdated", f"lt{format_stamp(START + 1000)}"))["total"] == 1
    assert search(made, count, ("_id", "a,c,x"))["total"] == 2
    assert "entry" not in search(made, count)


@pytest.mark.parametrize("elements", [",".join((*ELEMENTS, "meta")), "status,meta"])
def test_elements_omits_the_rest_and_adds_subsetted_beside_the_tag(elements: str) -> None:
    made = store()
    made.put(task("a"))
    resource = search(made, ("_elements", elements))["entry"][0]["resource"]
    assert set(resource) <= {"resourceType", "id", *elements.split(",")}
    assert resource["status"] == "requested"
    assert [tag["code"] for tag in resource["meta"]["tag"]] == ["CDR_MANAGED", "SUBSETTED"]


def test_elements_adds_subsetted_to_an_untagged_task_too() -> None:
    made = store()
    made.put(task("a", meta=meta()))
    resource = search(made, ("_elements", ",".join((*ELEMENTS, "meta"))))["entry"][0]["resource"]
    assert [tag["code"] for tag in resource["meta"]["tag"]] == ["SUBSETTED"]


def test_an_unknown_parameter_is_refused_as_hapi_does() -> None:
    response = get(store(), "/Task", ("color", "blue"))
    assert response.status == 400
    assert "HAPI-0524" in body(response)["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    [("_lastUpdated", "geyesterday"), ("_lastUpdated", "zz2026-11-20"), ("_sort", "status"), ("_count", "many")],
)
def test_invalid_values_are_refused(query: tuple[str, str]) -> None:
    assert get(store(), "/Task", query).status == 400


def test_a_read_answers_200_410_or_404() -> None:
    made = store()
    made.put(task("a"))
    made.put(task("b"))
    made.delete("b")
    assert body(get(made, "/Task/a"))["id"] == "a"
    assert get(made, "/Task/b").status == 410
    assert get(made, "/Task/c").status == 404


def test_an_organization_can_be_read_and_is_in_no_search_for_tasks() -> None:
    made = store()
    made.put(organization("old-payer", "Old Payer"))
    assert body(get(made, "/Organization/old-payer"))["name"] == "Old Payer"
    assert ids(search(made)) == []


def test_a_deleted_task_created_again_continues_its_versions_and_an_expunged_one_starts_at_1() -> None:
    made = store()
    for identifier in ("deleted", "expunged"):
        for status in ("requested", "in-progress", "failed"):
            made.put(task(identifier, status))
        made.delete(identifier)
    made.expunge("expunged")
    assert get(made, "/Task/expunged").status == 404
    made.put(task("deleted"))
    made.put(task("expunged"))
    versions = {each["resource"]["id"]: each["resource"]["meta"]["versionId"] for each in search(made)["entry"]}
    assert versions == {"deleted": "6", "expunged": "1"}


def test_meta_add_and_meta_delete_move_neither_version_nor_stamp() -> None:
    clock = HandClock()
    made = store(clock)
    made.put(task("a"))
    before = get(made, "/Task/a").body
    clock.advance(60)
    made.meta_delete("a", TAG)
    assert ids(search(made, ("_tag", TOKEN))) == []
    made.meta_add("a", TAG)
    assert ids(search(made, ("_tag", TOKEN))) == ["a"]
    assert get(made, "/Task/a").body == before


def test_metadata_is_a_capability_statement_of_r4() -> None:
    assert body(get(store(), "/metadata"))["fhirVersion"] == "4.0.1"


def test_everything_else_is_an_operation_outcome() -> None:
    for path in ("", "/Patient", "/Task/a/_history", "/Task/a/b"):
        response = get(store(), path)
        assert response.status == 404
        assert body(response)["resourceType"] == "OperationOutcome"


def test_the_transport_records_requests_and_leaves_the_body_to_be_read_raw() -> None:
    import httpx

    made = store()
    made.put(task("a"))
    recording = transport(made)
    with httpx.Client(transport=recording) as client, client.stream("GET", f"{made.base}/Task?_tag={TOKEN}") as answer:
        assert ids(json.loads(b"".join(answer.iter_raw()))) == ["a"]
    assert [request.query for request in recording.requests] == [(("_tag", TOKEN),)]


def history(source: Store, *query: tuple[str, str]) -> Bundle:
    return body(get(source, "/Task/a/_history", *query))


def test_a_history_has_the_newest_version_first_and_deletions_without_a_resource() -> None:
    made = store()
    for status in ("requested", "in-progress"):
        made.put(task("a", status))
    made.delete("a")
    made.put(task("a", "failed"))
    bundle = history(made, ("_elements", "status,meta"))
    assert (bundle["type"], bundle["total"]) == ("history", 4)
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "DELETE", "PUT", "POST"]
    assert [entry["request"]["url"][-1] for entry in bundle["entry"]] == ["5", "3", "2", "1"]
    shown = [entry.get("resource", {}) for entry in bundle["entry"]]
    assert [each.get("status") for each in shown] == ["failed", None, "in-progress", "requested"]
    assert "owner" not in shown[0]


def test_a_history_has_pages_and_ends_with_an_expunge() -> None:
    made = store()
    for status in ("requested", "in-progress", "on-hold"):
        made.put(task("a", status))
    first = history(made, ("_count", "2"))
    assert [entry["resource"]["status"] for entry in first["entry"]] == ["on-hold", "in-progress"]
    assert first["link"][1]["url"] == f"{made.base}/Task/a/_history?_count=2&_offset=2"
    last = history(made, ("_count", "2"), ("_offset", "2"))
    assert [entry["resource"]["status"] for entry in last["entry"]] == ["requested"]
    assert len(last["link"]) == 1
    made.expunge("a")
    assert get(made, "/Task/a/_history").status == 404
