"""What surveillance asks and is shown, as the document describes it. What is sent is stored JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from ordergate.api.cursors import CURSOR_LENGTH_MAX
from ordergate.api.schemas import PAGE_MAX, Asked, Event


class DropCopyQuery(Asked):
    """Oldest first. `after` is a number that was seen; where there is a cursor, that counts."""

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None


class CopyEntry(BaseModel):
    """Numbers have no gaps but for what the token may not see."""

    number: int
    told_at: datetime
    event: Event


class DropCopy(BaseModel):
    """`next` is always there: asked for later, it shows what has come since."""

    entries: list[CopyEntry]
    next: str
