"""A gateway in live, in memory, and the people who may enable an account of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.approvals import Change
from ordergate.core.ids import AccountId, Env
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Reach
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.desk import Edited
from tests.engine.limit_people import rule, setting
from tests.engine.stage import ES, START, TRADER, Stage

ACCOUNT: Final = AccountId("L-TEST")
ENABLED_S: Final = 3_600


def person(name: str, at: datetime = START, *, account: str = ACCOUNT) -> Principal:
    """Somebody of live who has just logged in."""
    return msgspec.structs.replace(
        TRADER,
        env=Env.LIVE,
        subject=name,
        client_id=name,
        token_id=name,
        accounts=frozenset({AccountId(account)}),
        auth_time=int(at.timestamp()),
    )


def terms(account: str = ACCOUNT, side: Side = Side.BUY) -> Terms:
    return Terms(
        account=AccountId(account),
        symbol=ES,
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(4700),
        time_in_force=TimeInForce.GTC,
    )


async def place(
    stage: Stage, *, by: Principal | None = None, account: str = ACCOUNT, side: Side = Side.BUY
) -> Answer | Refusal:
    by = by or person("trader", stage.clock.now(), account=account)
    return await stage.gate.place(by, terms(account, side), key=stage.key(), correlation="test")


def enabling(until: datetime, *, account: str = ACCOUNT, expected: int = 0) -> Edit:
    its = {"enabled_until": until.isoformat()}
    return setting(rule(its, name="enable", scope=Reach.ACCOUNT, of=account), expected)


async def ask_to_enable(
    stage: Stage, by: Principal, *, until: datetime | None = None, expected: int = 0
) -> Edited | Refusal:
    until = until or stage.clock.now() + timedelta(seconds=ENABLED_S)
    edit = enabling(until, account=stage.account, expected=expected)
    return await stage.node.limits.edit(by, [edit], reason="a test", correlation="test")


async def enabled(stage: Stage) -> Change:
    """The account, enabled by two persons for an hour."""
    now = stage.clock.now()
    asked = await ask_to_enable(stage, person("anna", now))
    assert isinstance(asked, Edited), asked
    assert asked.change is not None
    done = await stage.node.limits.approve(
        person("ben", now), asked.change.id, reason="a test", correlation="test"
    )
    assert isinstance(done, Change), done
    return done
