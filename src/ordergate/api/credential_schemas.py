"""The shapes of credentials at brokers, for the OpenAPI document, and what a client may send of them.

A secret comes in and never goes out.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from fastapi import Path
from pydantic import BaseModel, Field

from ordergate.api.schemas import Asked

LENGTH_MAX: Final = 1_024
Login = Annotated[str, Path(max_length=64, examples=["alpaca"])]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LENGTH_MAX, description="1 to 1024 characters")]


class PairFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key pair of a brokerage account."""

    key_id: Text
    secret_key: Text


class PairRequest(Asked):
    """A key pair of a brokerage account. Sealed, and never shown again."""

    key_id: Annotated[str, Field(min_length=1, max_length=LENGTH_MAX)]
    secret_key: Annotated[str, Field(min_length=1, max_length=LENGTH_MAX)]


class Credential(BaseModel):
    """Without its secret. `account` is the one at the broker that it opens, once that was tried."""

    broker: str
    row: str
    kind: Literal["api_keys", "oauth_tokens"]
    state: Literal["added", "verified", "active", "draining", "drained", "revoked"]
    account: str | None
    since: str
    expires: str | None


class CredentialList(BaseModel):
    credentials: list[Credential]
