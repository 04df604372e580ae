"""Keys of programs, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from ordergate.api import limit_schemas
from ordergate.api.program_requests import ENTRIES_MAX
from ordergate.api.schemas import AccountId, Amount, Asked, Figure, Label, Reason, Symbol
from ordergate.core.access import Scope, Sender
from ordergate.core.programs import OVERLAP_S_MAX
from ordergate.core.tenancy import NAME

ClientId = Annotated[str, Field(pattern=f"^{NAME}$", examples=["desk-bot"])]
Keys = Annotated[dict[str, Any], Field(description="A JWK set of public keys, each with a kid (RFC 7517).")]
Accounts = Annotated[list[AccountId], Field(max_length=ENTRIES_MAX)]
Symbols = Annotated[list[Symbol], Field(max_length=ENTRIES_MAX)]
Labels = Annotated[list[Label], Field(max_length=ENTRIES_MAX)]
Networks = Annotated[list[str], Field(max_length=ENTRIES_MAX, examples=[["10.0.0.0/8"]])]


class BoundsRequest(Asked):
    """All that a program may do, as a whole; what is left out bounds nothing, but for scopes and accounts."""

    scopes: list[Scope]
    accounts: Accounts
    instruments: Symbols = Field(default_factory=list)
    strategies: Labels = Field(default_factory=list)
    max_notional: Amount | None = None
    networks: Networks = Field(default_factory=list)
    expires_at: AwareDatetime | None = None
    signed_requests: bool = False
    sender: Sender = Sender.ANY
    reason: Reason


class ProgramRequest(BoundsRequest):
    """A new program. With `keys` it proves itself by signing; else it gets a secret."""

    client_id: ClientId
    keys: Keys | None = None


class RotateRequest(Asked):
    """For how long the secret that is replaced serves on."""

    overlap_s: Annotated[int, Field(ge=0, le=OVERLAP_S_MAX)]
    reason: Reason


class PublishRequest(Asked):
    """The keys that the program proves itself with from now on."""

    keys: Keys
    reason: Reason


class Program(BaseModel):
    """A program's key as it stands. `key_ids` are of the keys that it proves itself with."""

    client_id: str
    enabled: bool
    scopes: list[Scope]
    accounts: list[str]
    instruments: list[str]
    strategies: list[str]
    max_notional: Figure | None
    networks: list[str]
    expires_at: AwareDatetime | None
    signed_requests: bool
    sender: Sender
    has_secret: bool
    old_secret_until: AwareDatetime | None
    key_ids: list[str]


class Programs(BaseModel):
    clients: list[Program]


class NewSecret(BaseModel):
    """A program and its secret, which is told this once; none where it proves itself with keys."""

    client: Program
    client_secret: str | None


Change = limit_schemas.Change
