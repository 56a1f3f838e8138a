"""Access tokens for the FHIR server: OAuth2 client credentials (RFC 6749, 4.4) and SMART Backend Services.

`client` keeps one token and renews it, `proof` shows who asks, `endpoint` knows whom to ask, `answer` judges what comes
back, `domain` whether a discovered endpoint may be trusted. The requests themselves go through `fhir/http`.
"""

from .client import OAuth2, TokenFacts
from .endpoint import TokenEndpoint
from .proof import make_proof

__all__ = ["OAuth2", "TokenEndpoint", "TokenFacts", "make_proof"]
