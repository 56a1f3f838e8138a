import httpx
import pytest

from exporter.errors import LinkRefused
from exporter.fhir.links import LONGEST_LINK, parse_base_url, resolve

BASE = "https://cdr.example:8443/fhir"
CANARY = "PHI-CANARY-77"


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        (
            "https://cdr.example:8443/fhir?_getpages=a%7Cb&x=/../",
            "https://cdr.example:8443/fhir?_getpages=a%7Cb&x=/../",
        ),
        ("https://cdr.example:8443/fhir/?p=1", "https://cdr.example:8443/fhir/?p=1"),
        ("https://cdr.example:8443/fhir/Task?p=1", "https://cdr.example:8443/fhir/Task?p=1"),
        (
            "https://cdr.example:8443/fhir/Task/$x_y-1/_history/2",
            "https://cdr.example:8443/fhir/Task/$x_y-1/_history/2",
        ),
        ("HTTPS://CDR.Example:08443/fhir?p=1", "https://cdr.example:8443/fhir?p=1"),
        ("//cdr.example:8443/fhir?p=1", "https://cdr.example:8443/fhir?p=1"),
        ("/fhir?p=1", "https://cdr.example:8443/fhir?p=1"),
        ("?p=1", "https://cdr.example:8443/fhir?p=1"),
        ("Task?p=1", "https://cdr.example:8443/fhir/Task?p=1"),
        ("", "https://cdr.example:8443/fhir"),
        ("?p=1#part", "https://cdr.example:8443/fhir?p=1"),
        ("?p=\\x", "https://cdr.example:8443/fhir?p=\\x"),
    ],
)
def test_a_link_at_or_below_the_base_is_kept_verbatim(link: str, leads_to: str) -> None:
    assert resolve(BASE, link) == leads_to


HOSTILE = [
    "https://evil.example/fhir?p=1",
    "http://cdr.example:8443/fhir?p=1",
    "https://cdr.example/fhir?p=1",
    "https://cdr.example:8444/fhir?p=1",
    "https://cdr.example.:8443/fhir?p=1",
    "https://cdr.example.evil.example:8443/fhir",
    "https://cdr.example:8443@evil.example/fhir",
    "https://user@cdr.example:8443/fhir",
    "https://user:word@cdr.example:8443/fhir",
    "https://@cdr.example:8443/fhir",
    "https://cdr.example:8443\\@evil.example/fhir",
    "https://evil.example\\@cdr.example:8443/fhir",
    "https:\\\\evil.example/fhir",
    "\\\\evil.example/fhir",
    "/\\evil.example/fhir",
    "//evil.example/fhir",
    "///evil.example/fhir",
    "https:/fhir?p=1",
    "https:fhir?p=1",
    "https:///fhir?p=1",
    "https://cdr.example:/fhir",
    "https://cdr.example:99999999/fhir",
    "https://cdr.example:8443:8443/fhir",
    "https://cdr%2eexample:8443/fhir",
    "https://[::1]:8443/fhir",
    "https://cdr.ex\u0430mple:8443/fhir",
    "https://cdr\u3002example:8443/fhir",
    "ftp://cdr.example:8443/fhir",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/plain,x",
    "https://cdr.example:8443/fhirx?p=1",
    "https://cdr.example:8443/FHIR?p=1",
    "https://cdr.example:8443/other?p=1",
    "https://cdr.example:8443?p=1",
    "https://cdr.example:8443/",
    "/other",
    "/",
    "/fhir/../admin",
    "/fhir/..",
    "/fhir/.",
    "/fhir/./Task",
    "/fhir/.../Task",
    "../admin",
    "..",
    "/fhir/%2e%2e/admin",
    "/fhir/%2E%2e/admin",
    "/fhir/%252e%252e/admin",
    "/fhir%2f..%2fadmin",
    "/fhir/x%2fy",
    "/fhir/x%5cy",
    "/fhir/..%5cadmin",
    "/fhir/..;/admin",
    "/fhir/Task;jsessionid=1",
    "/fhir//evil.example/",
    "/fhir//",
    "//",
    "/fhir/\\..\\admin",
    " https://cdr.example:8443/fhir",
    "https://cdr.example:8443/fhir ?p=1",
    "\thttps://evil.example/",
    "ht\ntps://evil.example/",
    "https://cdr.example:8443/fhir?p=1\r\nX-Header: y",
    "https://cdr.example:8443/fhir?p=1\x00",
    "https://cdr.example:8443/fhir?p=\u202e",
    "/fhir?p=1#\n",
    "?p=" + "x" * LONGEST_LINK,
]


@pytest.mark.parametrize("link", HOSTILE)
def test_a_link_that_leads_elsewhere_is_refused_without_repeating_it(link: str) -> None:
    with pytest.raises(LinkRefused) as refusal:
        resolve(BASE, link.replace("p=1", f"p={CANARY}"))
    assert CANARY not in str(refusal.value)
    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize("link", HOSTILE)
def test_with_rewriting_every_link_leads_home_or_is_refused(link: str) -> None:
    try:
        address = httpx.URL(resolve(BASE, link, rewrite=True))
    except LinkRefused:
        return
    assert (address.scheme, address.host, address.port, address.userinfo) == ("https", "cdr.example", 8443, b"")
    assert address.path == "/fhir" or address.path.startswith("/fhir/")
    assert ".." not in address.path


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("http://internal:8080/fhir?_getpages=1", "https://cdr.example:8443/fhir?_getpages=1"),
        ("http://internal:8080/fhir/Task?ct=1", "https://cdr.example:8443/fhir/Task?ct=1"),
        ("http://internal:8080/ctx/r4?_getpages=1", "https://cdr.example:8443/fhir?_getpages=1"),
        ("http://internal:8080/ctx/r4/Task?ct=1", "https://cdr.example:8443/fhir/Task?ct=1"),
        ("http://internal:8080?_getpages=1", "https://cdr.example:8443/fhir?_getpages=1"),
        ("//internal/r4?_getpages=1", "https://cdr.example:8443/fhir?_getpages=1"),
        ("?_getpages=1", "https://cdr.example:8443/fhir?_getpages=1"),
    ],
)
def test_rewriting_keeps_path_and_query_on_our_base(link: str, leads_to: str) -> None:
    assert resolve(BASE, link, rewrite=True) == leads_to


@pytest.mark.parametrize("link", ["ftp://internal/fhir?p=1", "javascript:alert(1)", "http://internal/fhir/../admin"])
def test_rewriting_forgives_no_other_scheme_and_no_odd_path(link: str) -> None:
    with pytest.raises(LinkRefused):
        resolve(BASE, link, rewrite=True)


@pytest.mark.parametrize(
    ("base", "link", "leads_to"),
    [
        ("http://cdr.example", "http://cdr.example:80/?p=1", "http://cdr.example/?p=1"),
        ("http://cdr.example/", "http://cdr.example?p=1", "http://cdr.example?p=1"),
        ("http://cdr.example", "Task?p=1", "http://cdr.example/Task?p=1"),
        ("https://cdr.example/fhir/", "https://cdr.example:443/fhir?p=1", "https://cdr.example/fhir?p=1"),
        ("http://[::1]:9/a/b", "http://[::1]:9/a/b/c", "http://[::1]:9/a/b/c"),
        ("http://cdr.example/a%20b", "/a%20b/Task", "http://cdr.example/a%20b/Task"),
    ],
)
def test_default_ports_root_bases_and_ipv6_are_understood(base: str, link: str, leads_to: str) -> None:
    assert resolve(base, link) == leads_to


@pytest.mark.parametrize(
    "base", ["", "cdr.example", "/fhir", "ftp://cdr.example", "http://u:p@cdr.example", "http://h/?q", "http://h/#f"]
)
def test_a_base_is_scheme_host_port_and_path_only(base: str) -> None:
    with pytest.raises(LinkRefused):
        parse_base_url(base)


def test_httpx_reads_every_accepted_link_as_we_do() -> None:
    for link in ("//CDR.example:8443/fhir?p=1", "?p=\\x", "/fhir/Task/$op?p=[1]{2}|3"):
        address = httpx.URL(resolve(BASE, link))
        assert (address.host, address.port, address.userinfo) == ("cdr.example", 8443, b"")
