"""What is in a body: no JSON, odd JSON, other resources, and Bundles that are not what they say."""

import json
from collections.abc import Callable, Iterator
from functools import partial

from ...support.canaries import canary
from ...support.loaded import organization, outcome
from ..judge import Case
from ..plays import TEXT, answers, bundle, changed, compact, edited, entries, json_text
from ..subject import Kind

DEEP = 100_000


def texts() -> Iterator[tuple[str, bytes, str]]:
    """Yield bodies that replace the honest one, and their reasons."""
    yield "nothing", b"", "not_fhir"
    yield "a blank", b" ", "not_fhir"
    yield "a NUL", b"\0", "not_fhir"
    yield "1 MiB of NUL", bytes(1 << 20), "not_fhir"
    yield "words", TEXT.encode(), "not_fhir"
    yield "HTML under the type of FHIR", f"<!doctype html><p>{TEXT}".encode(), "not_fhir"
    yield (
        "XML under the type of FHIR",
        f'<Bundle xmlns="http://hl7.org/fhir"><id value="{TEXT}"/></Bundle>'.encode(),
        "not_fhir",
    )
    yield "null", b"null", "wrong_resource"
    yield "true", b"true", "wrong_resource"
    yield "a number", b"4", "wrong_resource"
    yield "a string", json.dumps(TEXT).encode(), "wrong_resource"
    yield "an array", b"[]", "wrong_resource"
    yield "an array of Bundles", b'[{"resourceType":"Bundle","type":"searchset"}]', "wrong_resource"
    yield "an empty object", b"{}", "wrong_resource"
    yield (
        "another resource",
        json_text({"resourceType": "Patient", "id": TEXT, "name": [{"family": TEXT}]}),
        "wrong_resource",
    )
    yield "an Organization", json_text(organization("x", TEXT)), "wrong_resource"
    yield "an OperationOutcome", json_text(outcome()), "wrong_resource"
    yield "an OperationOutcome of a warning", json_text(outcome("warning")), "wrong_resource"
    yield (
        "a type of resource that nobody knows",
        json_text({"resourceType": TEXT, "type": "searchset"}),
        "wrong_resource",
    )
    yield "a resourceType that is a list", json_text({"resourceType": [TEXT], "type": {TEXT: TEXT}}), "wrong_resource"
    yield "100,000 arrays in one another", b"[" * DEEP, "not_fhir"
    yield "100,000 objects in one another", b'{"a":' * DEEP, "not_fhir"
    yield "100,000 closed arrays in one another", b"[" * DEEP + b"]" * DEEP, "not_fhir"
    yield (
        "100,000 arrays in an unknown element",
        b'{"resourceType":"Bundle","type":"searchset","x":' + b"[" * DEEP + b"]" * DEEP + b"}",
        "not_fhir",
    )
    yield "a string without end", b'{"resourceType":"' + TEXT.encode() * 1000, "not_fhir"
    yield "UTF-16", '{"resourceType":"Bundle","type":"searchset"}'.encode("utf-16"), "not_fhir"
    yield "UTF-32", '{"resourceType":"Bundle","type":"searchset"}'.encode("utf-32"), "not_fhir"
    yield "a lone backslash", b'{"resourceType":"\\', "not_fhir"


def changes() -> Iterator[tuple[str, Callable[[bytes], bytes], str | None]]:
    """Yield changes of the honest body, and their reasons."""
    yield "a byte order mark", lambda body: b"\xef\xbb\xbf" + body, "not_fhir"
    yield "bytes behind the end", lambda body: body + b"{}", "not_fhir"
    yield "a NUL behind the end", lambda body: body + b"\0", "not_fhir"
    yield "15 MiB of blanks behind the end", lambda body: body + b" " * (15 << 20), None
    yield "17 MiB of blanks behind the end", lambda body: body + b" " * (17 << 20), "too_large"
    yield "half of itself", lambda body: body[: len(body) // 2], "not_fhir"
    yield "without its last bracket", lambda body: body.rstrip()[:-1], "not_fhir"
    yield "single quotes", lambda body: body.replace(b'"', b"'"), "not_fhir"
    yield "a comma at the end", lambda body: body.rstrip()[:-1] + b",}", "not_fhir"
    yield "a comment", lambda body: b"// x\n" + body, "not_fhir"
    yield "bad UTF-8 in an unknown element", _extra(b'"x":"\xff\xfe"'), None
    yield "an overlong NUL in an unknown element", _extra(b'"x":"\xc0\x80"'), None
    yield "a lone surrogate in an unknown element", _extra(b'"x":"\\ud800"'), "not_fhir"
    yield "a broken escape in an unknown element", _extra(b'"x":"\\u12"'), "not_fhir"
    yield "a raw line break in a string", _extra(b'"x":"\n"'), "not_fhir"
    yield "NaN", _extra(b'"x":NaN'), "not_fhir"
    yield "Infinity", _extra(b'"x":-Infinity'), "not_fhir"
    yield "1e999", _extra(b'"x":1e999'), None
    yield "an integer of 5,000 digits", _extra(b'"x":' + b"9" * 5000), None
    yield "an element twice", _extra(b'"type":"searchset"'), None
    yield "the type twice, the last one wrong", _extra_last(b'"type":"history"'), "wrong_resource"
    yield "1,000,000 unknown elements", _extra(b",".join(b'"x%d":0' % n for n in range(1_000_000))), "too_large"
    yield "an unknown element with a name of 1 MiB", _extra(b'"%b":0' % (b"x" * (1 << 20))), None


def _extra(members: bytes) -> Callable[[bytes], bytes]:
    return lambda body: b"{" + members + b"," + body.lstrip()[1:]


def _extra_last(members: bytes) -> Callable[[bytes], bytes]:
    return lambda body: compact(body)[:-1] + b"," + members + b"}"


def bundles() -> Iterator[tuple[str, Callable[[bytes], bytes], str | None]]:
    """Yield Bundles that are not what they say, and their reasons."""
    for kind in ("collection", "history", "batch-response", TEXT, "", "SEARCHSET"):
        yield f"of type {kind[:14] or 'nothing'}", bundle(type=kind), "wrong_resource"
    yield "without a type", bundle(type=None), "wrong_resource"
    yield "with meta 7", bundle(meta=7), "wrong_resource"
    yield "without meta", bundle(meta=None), None
    yield "of the year 1", bundle(meta={"lastUpdated": "0001-01-01T00:00:00Z"}), None
    yield "of a time that is none", bundle(meta={"lastUpdated": TEXT}), None
    yield "with total -1", bundle(total=-1), None
    yield "with total 10^30", bundle(total=10**30), None
    yield "with total a text", bundle(total=TEXT), None
    yield "with entry an object", bundle(entry={}), "wrong_resource"
    yield "with entry a text", bundle(entry=TEXT), "wrong_resource"
    yield "with link a text", bundle(link=TEXT), "wrong_resource"
    yield "with a link null", bundle(link=[None]), "wrong_resource"
    yield "with a link to nowhere", bundle(link=[{"relation": "next"}]), "wrong_resource"
    yield "with a link that is empty", bundle(link=[{"relation": "next", "url": ""}]), "wrong_resource"
    yield "with a link that is a number", bundle(link=[{"relation": "next", "url": 7}]), "wrong_resource"
    yield "with link null", bundle(link=None), None
    yield "with 100,000 other links", bundle(link=[{"relation": "alternate", "url": TEXT}] * 100_000), None


def odd_entries() -> Iterator[tuple[str, bytes, str | None, dict[str, int]]]:
    """Yield entries in front of the others, the reason, and what they count."""
    error = json_text({"resource": outcome(), "search": {"mode": "outcome"}})
    warned = json_text({"resource": outcome("warning"), "search": {"mode": "outcome"}})
    included = json_text({"resource": organization("included", TEXT), "search": {"mode": "include"}})
    patient = json_text(
        {"resource": {"resourceType": "Patient", "id": TEXT, "name": [{"family": TEXT}]}, "search": {"mode": "match"}}
    )
    unread = {"anomalies unparsable": 1}
    yield "an error among them", error, "wrong_resource", {}
    yield "a warning among them", warned, None, {}
    yield "an included Organization", included, None, {}
    yield "a Patient as a match", patient, None, unread
    yield "an entry null", b"null", None, unread
    yield "an entry of a number", b"7", None, unread
    yield "an entry of a text", json.dumps(TEXT).encode(), None, unread
    yield "an empty entry", b"{}", None, {}
    yield "a resource null", b'{"resource":null}', None, {}
    yield "a resource of a text", json_text({"resource": f"a {TEXT}", "search": {"mode": "match"}}), None, unread
    yield "5,000 entries of 8", b",".join([b"8"] * 5_000), None, unread
    yield "an entry of 100,000 arrays in one another", b"[" * DEEP + b"]" * DEEP, "not_fhir", {}
    yield "an entry with NaN", b'{"resource":{"resourceType":"Task","x":NaN}}', "not_fhir", {}


def cases() -> Iterator[Case]:
    for does, text, reason in texts():
        yield Case(group="body", does=does, play=answers(200, text), reason=reason)
    for does, change, changed_reason in changes():
        yield Case(group="json", does=does, play=changed(change), reason=changed_reason)
    for does, change, bundle_reason in bundles():
        yield Case(group="bundle", does=does, play=changed(change), reason=bundle_reason)
    for does, extra, entry_reason, adds in odd_entries():
        yield Case(
            group="entry", does=does, play=entries(partial(bytes, extra)), reason=entry_reason, adds=adds, kind=Kind.ODD
        )
    late = edited(lambda found: found.update(timestamp=canary("Bundle.timestamp")))
    yield Case(group="bundle", does="with a timestamp that is none", play=late, reason=None)
