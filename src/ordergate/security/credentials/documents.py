"""What a credential says, and how it is written as one text before it is sealed. Shows none of it."""

from __future__ import annotations

from typing import Any

import msgspec

from ordergate.ports.keys import KeysRefused
from ordergate.telemetry.secret import Secret

API_KEYS = "api_keys"
OAUTH_TOKENS = "oauth_tokens"


class ApiKeys(msgspec.Struct, frozen=True):
    """A key pair of a brokerage account."""

    key_id: Secret
    secret_key: Secret

    kind = API_KEYS
    expires_at = None


class OAuthTokens(msgspec.Struct, frozen=True):
    """What a user granted at the broker. `expires_at` is in seconds since the epoch."""

    access_token: Secret
    refresh_token: Secret
    expires_at: int

    kind = OAUTH_TOKENS


Document = ApiKeys | OAuthTokens


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: str
    secret_key: str


class _Tokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    access_token: str
    refresh_token: str
    expires_at: int


def written(document: Document) -> Secret:
    """The one text that is sealed."""
    plain: Any
    match document:
        case ApiKeys(key_id, secret_key):
            plain = _Keys(key_id.reveal(), secret_key.reveal())
        case OAuthTokens(access, refresh, expires_at):
            plain = _Tokens(access.reveal(), refresh.reveal(), expires_at)
    return Secret(msgspec.json.encode(plain).decode())


def read(kind: str, text: Secret) -> Document:
    """Raises KeysRefused for a text that is no such document; the text is not told."""
    try:
        if kind == API_KEYS:
            keys = msgspec.json.decode(text.reveal(), type=_Keys)
            return ApiKeys(Secret(keys.key_id), Secret(keys.secret_key))
        tokens = msgspec.json.decode(text.reveal(), type=_Tokens)
    except msgspec.DecodeError:
        raise KeysRefused("what was sealed is no such credential") from None
    return OAuthTokens(Secret(tokens.access_token), Secret(tokens.refresh_token), tokens.expires_at)
