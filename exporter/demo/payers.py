"""The payers of the simulated network, and the texts of their failures.

Every name and number here is invented: none is a real payer, person or NPI.
"""

from enum import StrEnum
from typing import NamedTuple

NPI = "http://hl7.org/fhir/sid/us-npi"


class Naming(StrEnum):
    """How a Task names its owner; all four occur in public examples (HRex, CDex)."""

    REFERENCE = "reference"
    IDENTIFIER = "identifier"
    DISPLAY = "display"
    CONTAINED = "contained"


class Payer(NamedTuple):
    """One source payer. `share` is its weight among all; `failing`, `cancelled` and `stalling` are probabilities.

    `empty` is the probability that a completed exchange brings no documents.
    """

    id: str
    name: str
    naming: Naming = Naming.REFERENCE
    npi: str = ""
    share: float = 1.0
    median_hours: float = 3.0
    failing: float = 0.06
    cancelled: float = 0.01
    empty: float = 0.05
    stalling: float = 0.0
    reasons: tuple[str, ...] = ()
    """Why its exchanges fail; empty means any reason."""


PAYERS = (
    Payer("amberquill", "Amberquill Health Plan", share=3.0, median_hours=0.8),
    Payer("bluefern", "Bluefern Mutual", share=2.0, median_hours=2.0),
    Payer("copperlantern", "Copperlantern Care", median_hours=1.2, failing=0.25, reasons=("member_match", "no_data")),
    Payer("driftwillow", "Driftwillow Health", median_hours=5.0),
    Payer("emberloch", "Emberloch Benefit Trust", median_hours=0.3, empty=0.3),
    Payer("foxmere", "Foxmere Family Plan", Naming.CONTAINED, median_hours=4.0),
    Payer("granitefold", "Granitefold Managed Care", Naming.IDENTIFIER, "9900000017", median_hours=6.0),
    Payer("hollowpine", "Hollowpine Advantage", Naming.IDENTIFIER, "9900000025", median_hours=2.5),
    Payer("inkwater", "Inkwater Community Plan", Naming.DISPLAY, share=0.5, median_hours=3.5),
    Payer("juniperglass", "Juniperglass Health", Naming.DISPLAY, share=0.5, failing=0.3, reasons=("auth",)),
    Payer("kestrelmoor", "Kestrelmoor Mutual", median_hours=15.0, reasons=("timeout", "export")),
    Payer("larkspan", "Larkspan Health Cooperative", share=0.6, median_hours=2.0, stalling=0.3),
)
"""Kestrelmoor is the slow one, Larkspan the one that stalls."""

REQUESTERS = (("marigold-harbor", "Marigold Harbor Health"), ("marigold-senior", "Marigold Harbor Senior Plans"))
"""The requesting side: id and name of each Organization."""

NOTES = {
    "auth": (
        "The token endpoint of the source payer answered 401 invalid_client",
        "Could not obtain an access token: the client secret has expired",
    ),
    "member_match": (
        "No member match was found at the source payer",
        "Member match failed: the source payer answered 422, more than one member matched",
    ),
    "kickoff": ("The $export kick-off was refused with status 400", "Export kick-off failed: status 503"),
    "export": ("The export job failed at the source payer", "Bulk export failed: its status answered 500"),
    "download": ("Download of an NDJSON file failed: HTTP 404", "Could not download output file 3 of 7"),
    "store": ("Could not store the received resources: transaction rolled back", "Storing failed: validation error"),
    "timeout": (
        "Timed out while waiting for the export job",
        "The source payer did not answer in time: read timed out",
    ),
    "network": (
        "Could not reach the source payer: java.net.UnknownHostException",
        "Connection refused by the source payer",
    ),
    "tls": ("PKIX path building failed", "TLS handshake failed: the certificate of the source payer has expired"),
    "no_data": ("The source payer returned no data for the member", "No matching documents were found"),
    "unclassified": ("Unexpected error, see the log of the job instance",),
}
"""Plausible texts by reason; no note of a real installation is published anywhere."""
