"""A conversation without a socket: sessions to talk to, and what a client says most."""

from __future__ import annotations

from typing import Any

import msgspec

from ordergate.api.quotas import Rate
from ordergate.api.stream.actions import Action, Limits, Send
from ordergate.api.stream.pace import Charge
from ordergate.api.stream.session import Session
from ordergate.core.ids import Env
from tests.api.asking import an_order
from tests.api.ledger import INSTRUMENTS
from tests.api.people import EVERYTHING, principal

KEY = "k" * 20
ORDER_ID = "P-000000000000000001"
LIMITS = Limits(
    messages=Rate(per_s=100, burst=100),
    commands_in_flight_max=3,
    subscriptions_max=2,
    symbols_max=2,
    login_s=5,
    heartbeat_s=1,
)
TRADER = principal("trader", EVERYTHING)


def free(*_: object) -> float:
    """A quota that is never spent."""
    return 0.0


def a_session(*, logged_in: bool = True, charge: Charge = free, **limits: Any) -> Session:
    session = Session(
        env=Env.PAPER,
        name="s1",
        limits=msgspec.structs.replace(LIMITS, **limits),
        symbols=INSTRUMENTS,
        charge=charge,
        opened_at=0.0,
    )
    session.opened(TRADER if logged_in else None)
    return session


def said(session: Session, **frame: Any) -> list[Action]:
    return list(session.received(msgspec.json.encode(frame), 0.0))


def sent(actions: list[Action]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(action.payload) for action in actions if isinstance(action, Send)]


def only(actions: list[Action]) -> dict[str, Any]:
    (frame,) = sent(actions)
    return frame


FOLLOW = {"type": "subscribe", "account_id": "P-DEMO", "channels": ["orders"]}
PLACE = {"type": "place", "id": "1", "idempotency_key": KEY, "order": an_order()}
