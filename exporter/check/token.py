"""What `check` says about the access token: where it is from, and what was granted. Nothing here sends anything.

Rule: no token, no key, and nothing of the endpoint's text.
"""

from collections.abc import Iterator

from ..errors import ServerError
from ..oauth2 import TokenFacts
from .findings import SKEW_MS, Finding, fail, info, ok, span, warn


def obtained(facts: TokenFacts) -> Iterator[Finding]:
    """Report a token that was obtained."""
    found = "named by the FHIR server" if facts.discovered else "as configured"
    yield ok(f"token: {facts.endpoint}, {found}, gave one for {span(facts.seconds)}, by {facts.proof}")
    if facts.other_scope:
        yield info(
            "token: the endpoint granted other scopes than those of --fhir.oauth2.scope",
            "No action is needed if the rights below are enough.",
        )
    if facts.skew_ms is not None and abs(facts.skew_ms) > SKEW_MS:
        which = "ahead of" if facts.skew_ms > 0 else "behind"
        yield warn(
            f"token: the clock of the token endpoint is {span(abs(facts.skew_ms) / 1000)} {which} the local one",
            "Keep both machines synchronized by NTP. Assertions are dated by the endpoint's clock.",
        )


def failed(error: ServerError) -> Finding:
    """Report that there is none."""
    return fail(f"token: {error}", error.remedy)
