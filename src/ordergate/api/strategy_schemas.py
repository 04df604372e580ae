"""The shapes of strategies, for the OpenAPI document, and what a client may send of them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from pydantic import BaseModel, Field

from ordergate.api import schemas
from ordergate.api.access_requests import Subject
from ordergate.api.access_schemas import SubjectName
from ordergate.api.requests import LABEL, Label, Reason

Version = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"\A(?:{LABEL})?\Z", description="at most 64 characters of A-Z, a-z, 0-9 and _ . : -"
    ),
]


class StrategyFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy that may trade, and who answers for it. Without a version, all that are not listed."""

    name: Label
    version: Version = ""
    owner: Subject
    reason: Reason


class DisableFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Label
    version: Version = ""
    reason: Reason


class StrategyRequest(schemas.Asked):
    """A strategy that may trade, and who answers for it. Without a version, all that are not listed."""

    name: schemas.Label
    version: Annotated[str, Field(pattern=f"^(?:{LABEL})?$")] = ""
    owner: SubjectName
    reason: schemas.Reason


class DisableRequest(schemas.Asked):
    name: schemas.Label
    version: Annotated[str, Field(pattern=f"^(?:{LABEL})?$")] = ""
    reason: schemas.Reason


class Strategy(BaseModel):
    """A strategy as it stands; without a version it stands for each that is not listed itself."""

    name: str
    version: str
    owner: str
    enabled: bool


class Strategies(BaseModel):
    strategies: list[Strategy]


strategy_decoder: Final = msgspec.json.Decoder(StrategyFields)
disable_decoder: Final = msgspec.json.Decoder(DisableFields)
