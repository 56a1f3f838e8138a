"""Links from a payer in a table to the dashboard filtered by that payer."""

from .spec import Label

KEPT = ("datasource", "job", "instance", "fhir_source")
HERE = "/d/p2p-exchanges?${__url_time_range}&" + "&".join(f"${{{name}:queryparam}}" for name in KEPT)


def _only(label: str) -> str:
    return f"{HERE}&var-{label}=${{__data.fields.{label}:percentencode}}"


PAIR_LABELS = (
    Label("job", "Job"),
    Label("fhir_source", "FHIR server"),
    Label("source_payer", "Source payer", _only("source_payer")),
    Label("requesting_payer", "Requesting payer", _only("requesting_payer")),
)
"""The columns that identify a pair; `fhir_source` is absent if only one server is monitored."""
