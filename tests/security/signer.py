"""Signs requests as RFC 9421 says, from its text alone: a second reading of it beside the library's."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

COVERED: Final = ("@method", "@target-uri", "content-digest", "authorization", "idempotency-key")


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signed(
    key: ECKey | OKPKey,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    covered: Sequence[str] = COVERED,
    **parameters: Any,
) -> dict[str, str]:
    """The headers, with those of the digest and of the signature. `parameters` in their order."""
    told = {**headers, "content-digest": digest(body)}
    listed = " ".join(f'"{name}"' for name in covered)
    said = "".join(f";{name}={json.dumps(value)}" for name, value in parameters.items() if value is not None)
    where = urlsplit(url)
    derived = {
        "@method": method,
        "@target-uri": url,
        "@authority": where.netloc,
        "@path": where.path,
        "@query": f"?{where.query}",
    }
    lines = [f'"{name}": {derived[name] if name in derived else told[name]}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": ({listed}){said}'])
    made = JWSRegistry.algorithms["EdDSA" if isinstance(key, OKPKey) else "ES256"].sign(base.encode(), key)
    return {
        **told,
        "signature-input": f"sig=({listed}){said}",
        "signature": f"sig=:{base64.b64encode(made).decode()}:",
    }
