"""Looks for marked strings in a text, in each form in which a string may hide."""

import base64


def forms(secret: str) -> dict[str, str]:
    """How a string may hide."""
    data = secret.encode()
    found = {"raw": secret, "hex": data.hex(), "percent": "".join(f"%{byte:02x}" for byte in data)}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data).decode()
        found[f"base64 at {shift}"] = whole[2 * bool(shift) + 2 * (shift == 2) :].rstrip("=")[:-1]
    return found


def hits(text: str, *secrets: str) -> list[str]:
    """Name the strings that are in a text, in whatever form and case."""
    lower = text.lower()
    return [f"{secret} ({form})" for secret in secrets for form, each in forms(secret).items() if each.lower() in lower]
