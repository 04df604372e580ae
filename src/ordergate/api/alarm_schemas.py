"""The shapes of alarms, for the OpenAPI document and queries."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ordergate.api.cursors import CURSOR_LENGTH_MAX
from ordergate.api.schemas import PAGE_MAX, AccountId, Asked
from ordergate.core.accounts.alarm_words import WORDS, About
from ordergate.core.accounts.alarms import AlarmNature

_NATURE: Final = AlarmNature.QUARANTINED_ORDER
EXAMPLE: Final[dict[str, Any]] = {
    "id": f"{_NATURE.value}:P-01HZX3K9QW5V7M2N4B",
    "account_id": "P-DEMO",
    "nature": _NATURE.value,
    "lasting": True,
    "raised_at": "2024-03-04T15:30:02.512000Z",
    "about": About.ORDER.value,
    "subject": "P-01HZX3K9QW5V7M2N4B",
    "order_id": "P-01HZX3K9QW5V7M2N4B",
    "broker_order_ids": ["61e69015-8549-4bfd-b9c3-01e75843f47d"],
    "detail": "no question can prove what became of order P-01HZX3K9QW5V7M2N4B: a person has to decide",
    "evidence": {
        "status": "unknown",
        "cl_ord_id": "P-01HZX3K9QW5V7M2N4B",
        "symbol": "ESM4",
        "side": "buy",
        "quantity": "3",
        "cum_qty": "0",
        "unknown_since": "2024-03-04T15:29:32.104000+00:00",
        "candidates": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    },
    "means": WORDS[_NATURE].means,
    "do": WORDS[_NATURE].do,
    "ends": WORDS[_NATURE].ends,
}


class Alarm(BaseModel):
    """An alarm that stands: since when, what it is about, what there is to decide by, and how it ends.

    What is `lasting` ends with its cause; everything else happened, and stands as a record.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    account_id: str
    nature: str
    lasting: bool
    raised_at: AwareDatetime
    about: About
    subject: str
    order_id: str | None
    broker_order_ids: list[str]
    detail: str
    evidence: dict[str, str]
    means: str
    do: str
    ends: str


class Alarms(BaseModel):
    """Of the accounts in `unread` nobody can tell just now: they are being read."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"alarms": [EXAMPLE], "unread": [], "next": None}]}
    )

    alarms: list[Alarm]
    unread: list[str]
    next: str | None


class AccountAlarmsQuery(Asked):
    """Newest first."""

    nature: AlarmNature | None = None
    lasting: bool | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None


class AlarmsQuery(AccountAlarmsQuery):
    """Newest first."""

    account_id: AccountId | None = None
