"""Whether a token endpoint that the FHIR server names may get a client's credentials.

Whoever can change what the FHIR server answers must not be able to send them elsewhere: only to the same host, or to
one of the same registrable domain (`auth.example.org` for `cdr.example.org`, never `other.co.uk` for `ours.co.uk`).
"""

import re
from ipaddress import ip_address

from ..config import is_loopback
from ..fhir.links import BaseUrl

_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
"""A host that a resolver may read as an IPv4 address, such as `127.1`: it has no domain."""


def is_trusted(home: BaseUrl, found: BaseUrl) -> bool:
    """Whether credentials may go to the endpoint `found`, which the server at `home` named."""
    if found.scheme != "https" and not is_loopback(found.origin):
        return False
    return found.host == home.host or _same_domain(home.host, found.host)


def _same_domain(one: str, other: str) -> bool:
    if any(_is_address(host) for host in (one, other)):
        return False
    from publicsuffixlist import PublicSuffixList  # 2 MB, and only where the hosts differ

    registered = PublicSuffixList().privatesuffix
    domain = registered(one)
    return domain is not None and domain == registered(other)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return _NUMERIC.fullmatch(host) is not None
    return True
