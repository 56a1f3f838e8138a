import pytest

from exporter.errors import TargetRefused
from exporter.fhir.export_target import status_address

BASE = "https://cdr.example:8443/fhir"
PATH = "$export-poll-status"
CANARY = "PHI-CANARY-77"
HERE = f"{BASE}/{PATH}"


@pytest.mark.parametrize(
    "target",
    [
        f"{BASE}/$export-poll-status?_jobId=4f3c-1",
        "HTTPS://CDR.example:8443/fhir/$export-poll-status?_jobId=4f3c-1",
        f"{BASE}/%24export-poll-status?_jobId=4f3c-1",
        "//cdr.example:8443/fhir/$export-poll-status?_jobId=4f3c-1",
        "/fhir/$export-poll-status?_jobId=4f3c-1",
        "$export-poll-status?_jobId=4f3c-1",
        "4f3c-1",
    ],
)
def test_a_target_is_a_status_url_or_the_id_of_a_job(target: str) -> None:
    assert status_address(BASE, PATH, target) == f"{HERE}?_jobId=4f3c-1"


def test_a_path_may_lie_between_the_base_and_the_operation() -> None:
    address = f"{BASE}/DEFAULT/{PATH}?_jobId=a.b_c-D"
    assert status_address(BASE, PATH, address) == address


def test_another_path_can_be_configured() -> None:
    assert status_address(BASE, "async/status", f"{BASE}/async/status?_jobId=7") == f"{BASE}/async/status?_jobId=7"
    assert status_address(BASE, "async/status", "7") == f"{BASE}/async/status?_jobId=7"
    with pytest.raises(TargetRefused):
        status_address(BASE, "async/status", f"{HERE}?_jobId=7")


HOSTILE = [
    "",
    " ",
    CANARY + "/x",
    "x" * 65,
    "id\n",
    "ïd",
    f"{HERE}",
    f"{HERE}?",
    f"{HERE}?_jobId=",
    f"{HERE}?_jobId={'x' * 65}",
    f"{HERE}?_jobId=a&_jobId=b",
    f"{HERE}?_jobId=a&patient=Patient/7",
    f"{HERE}?patient=7&_jobId=a",
    f"{HERE}?_jobId=a%26patient=7",
    f"{HERE}?_jobId=a;b",
    f"{HERE}?_jobId=a?_jobId=b",
    f"{HERE}?_jobId=a b",
    f"{HERE}?_jobId=a\r\nHost: evil.example",
    f"{HERE}?_jobId=a#x",
    f"{HERE}#?_jobId=a",
    f"{HERE}?_jobid=a",
    f"{HERE}?%5FjobId=a",
    f"{HERE}/?_jobId=a",
    f"{HERE}x?_jobId=a",
    f"{BASE}/x$export-poll-status?_jobId=a",
    f"{BASE}/Patient?_jobId=a",
    f"{BASE}/Patient/7/$everything?_jobId=a",
    f"{BASE}?_jobId=a",
    "?_jobId=a",
    f"{BASE}/../{PATH}?_jobId=a",
    f"{BASE}/./{PATH}?_jobId=a",
    f"{BASE}/%2e%2e/{PATH}?_jobId=a",
    f"{BASE}/%2E/{PATH}?_jobId=a",
    f"{BASE}/..;/{PATH}?_jobId=a",
    f"{BASE}/%252e%252e/{PATH}?_jobId=a",
    f"{BASE}/%2524export-poll-status?_jobId=a",
    f"{BASE}%2f{PATH}?_jobId=a",
    f"{BASE}\\..\\{PATH}?_jobId=a",
    f"{BASE}//{PATH}?_jobId=a",
    f"{BASE}evil/{PATH}?_jobId=a",
    f"/other/{PATH}?_jobId=a",
    f"https://cdr.example/fhir/{PATH}?_jobId=a",
    f"http://cdr.example:8443/fhir/{PATH}?_jobId=a",
    f"https://evil.example:8443/fhir/{PATH}?_jobId=a",
    f"https://cdr.example:8443@evil.example/fhir/{PATH}?_jobId=a",
    f"https://user:secret@cdr.example:8443/fhir/{PATH}?_jobId=a",
    f"https://cdr.example:8443.evil.example/fhir/{PATH}?_jobId=a",
    f"https://cdr.example:8443\\@evil.example/fhir/{PATH}?_jobId=a",
    f"https://cdr.example.:8443/fhir/{PATH}?_jobId=a",
    f"https:cdr.example:8443/fhir/{PATH}?_jobId=a",
    f"https:///fhir/{PATH}?_jobId=a",
    f"//evil.example/fhir/{PATH}?_jobId=a",
    f"///cdr.example:8443/fhir/{PATH}?_jobId=a",
    f"file:///fhir/{PATH}?_jobId=a",
    f"gopher://cdr.example:8443/fhir/{PATH}?_jobId=a",
    f"javascript:{PATH}?_jobId=a",
    f" {HERE}?_jobId=a",
    f"{HERE}?_jobId=a ",
    f"{BASE}/{'a/' * 5000}{PATH}?_jobId=a",
    f"https://cdr.example:8443/fhir\t/{PATH}?_jobId=a",
    f"https://\uff43dr.example:8443/fhir/{PATH}?_jobId=a",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_anything_else_is_refused_without_repeating_it(target: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        status_address(BASE, PATH, target)
    text = f"{refused.value} {refused.value.__context__!r}"
    assert "evil" not in text
    assert CANARY not in text
    assert "Patient" not in text


@pytest.mark.parametrize("target", HOSTILE)
def test_what_is_asked_for_is_below_the_base_of_a_server_at_the_root_too(target: str) -> None:
    """With an empty base path the origin and the end of the path are all that is left to hold on to."""
    root = "https://cdr.example:8443"
    try:
        address = status_address(root, PATH, target)
    except TargetRefused:
        return
    assert address.startswith(f"{root}/")
    assert address.endswith(f"/{PATH}?_jobId=a")
