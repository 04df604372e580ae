"""What the OpenAPI document tells about tickets for streams."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ordergate.api.schemas import Asked


class TicketRequest(Asked):
    """For pages of which origin, as a browser sends it."""

    origin: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]{1,255}$")]


class Ticket(BaseModel):
    """Send it as `ticket` in the stream's first frame, within so many seconds."""

    ticket: str
    expires_in: int
