"""Each event reads as one line that an officer understands: what, of what, who, who agreed, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.audit import daily_lines as lines
from ordergate.audit.daily_lines import Line
from ordergate.core.accounts.breaks import Action
from ordergate.core.accounts.events import CashAdjusted
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.events import OrderResolved, Resolution
from ordergate.core.privileged import (
    GatewayStarted,
    GatewayStopped,
    IdentityChanged,
    PrivilegedEvent,
    RequestSigned,
    TokenIssued,
)
from ordergate.core.refusals import Refusal
from ordergate.core.risk.limits import ADJUSTABLE
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Reach
from ordergate.core.risk.trading_state import Grade, Level, Trip
from ordergate.core.tenancy import AccountPlace
from ordergate.engine.stopping.trips import TripPolicy
from tests.audit.days import tally_of
from tests.engine import test_access_desk as access
from tests.engine import test_dead_man as dead_man
from tests.engine import test_egress as egress
from tests.engine import test_key_bounds as bounds
from tests.engine import test_overrides as overrides
from tests.engine import test_trips as trips
from tests.engine.killing import engage, kinds, working
from tests.engine.limit_people import ANNA, BEN, edited, rule, setting
from tests.engine.settling import drift, natures, only_break, resolve
from tests.engine.stage import ACCOUNT, RISK, START, TRADER, Stage

THROUGH_AN_APP = msgspec.structs.replace(ANNA, client_id="app")


def said(stage: Stage, section: str) -> list[Line]:
    return tally_of(stage).sections.get(section, [])


async def test_a_stop_says_of_what_it_is_and_how_it_is_lifted() -> None:
    async with Stage() as stage:
        await engage(stage, Level.STRATEGY, "trend", Grade.BLOCK_NEW)
        (line,) = said(stage, lines.KILL)
        assert line.what == "kill engaged: block_new of the strategy trend"
        assert (line.who, line.why) == ("trader", "drill; lifted: by another person")


async def test_a_stop_that_nobody_decided_says_what_did_and_who_may_not_lift_it() -> None:
    async with Stage(trips=TripPolicy(executions=1)) as stage:
        await trips.filled(stage)
        await stage.until(lambda: trips.stops(stage) and trips.stops(stage)[0].durable)
        (line,) = said(stage, lines.KILL)
        assert line.what == "kill engaged by the trip repeated-execution: block_new of the strategy trend"
        assert line.who == "gateway"
        lift = Trip.REPEATED_EXECUTION.lift.rstrip(".")
        assert line.why.endswith(f"; lifted: {lift}, but not by trader")


async def test_what_was_swept_is_told_with_its_figures() -> None:
    async with Stage() as stage:
        await working(stage)
        await engage(stage, Level.ACCOUNT, ACCOUNT, Grade.CANCEL_ALL)
        await stage.until(lambda: "kill_swept" in kinds(stage))
        swept = said(stage, lines.KILL)[-1]
        assert swept.what.startswith("kill swept: the account P-TEST, nothing that the stop cancels works")
        assert "; 1 cancels asked for, 0" in swept.what


async def test_a_release_and_a_flatten_say_of_what_they_are() -> None:
    async with Stage() as stage:
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        for who in (TRADER, RISK):
            await stage.gate.flatten_kill(who, reason="get out", correlation="test")
        await stage.gate.release_kill(RISK, reason="it is over", correlation="test")
        told = [(line.what, line.who) for line in said(stage, lines.KILL)]
        assert ("kill flatten asked: everything", "trader") in told
        assert ("kill flatten confirmed: everything", "risk") in told
        assert told[-1] == ("kill released: everything", "risk")


async def test_a_dead_mans_switch_says_whose_it_is_and_why_it_ran_out() -> None:
    async with Stage() as stage:
        await dead_man.arm(stage)
        await dead_man.passes(stage, 70)
        await stage.until(lambda: "dead_man_expired" in dead_man.written(stage))
        armed, expired = said(stage, lines.KILL)
        of = "of trader, session main, for the orders of trader"
        assert armed.what == f"dead man armed {of}, 60 s, GTC orders: cancel"
        assert expired.what == f"dead man expired {of}"
        assert expired.why


async def test_a_rule_is_told_field_by_field() -> None:
    async with Stage() as stage:
        its = {"max_open_orders": 9, "message_windows": [[100, 1]], "duplicate_window_s": "2"}
        of_account = rule(its, name="own", scope=Reach.ACCOUNT, of=ACCOUNT)
        await edited(stage, setting(of_account), by=THROUGH_AN_APP)
        tighter = {**its, "max_open_orders": 8, "duplicate_soft_window_s": "30"}
        await edited(stage, setting(msgspec.structs.replace(of_account, limits=tighter), 1))
        made, changed = said(stage, lines.LIMITS)[-2:]
        assert made.what == (
            "version 1 of rule own (of account P-TEST) new: mode enforce; severity hard; owner risk; "
            "max open orders 9; message windows 100 in 1 s; duplicate window 2 s"
        )
        assert (made.who, made.why) == ("anna, by app", "a test")
        assert changed.what == (
            "version 2 of rule own (of account P-TEST) changed: "
            "max open orders: 9 → 8; duplicate soft window: not set → 30 s"
        )


async def test_a_change_is_named_when_it_is_settled_and_who_agreed_is_told() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 5})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        await stage.node.limits.approve(BEN, asked.change.id, reason="seen", correlation="t")
        proposed, approved, removed = said(stage, lines.LIMITS)[-3:]
        named = f"change {asked.change.id} of limits"
        assert proposed.what.startswith(f"{named} proposed, open until 2026-01-06 15:00:00: ")
        summary = ", ".join(asked.change.proposed.summary)
        assert summary
        assert summary in proposed.what
        removes = (
            "rule firm (of the whole firm) removed, which said: mode enforce; severity hard; owner risk; "
        )
        assert f"{removes}max open orders 5" in proposed.what
        assert approved.what == f"{named} approved, proposed by anna: {summary}"
        assert (approved.who, approved.why) == ("ben", "seen")
        assert removed.what == f"version 1 of {removes}max open orders 5"
        assert removed.who == "anna; approved by ben"


@pytest.mark.parametrize("how", ["rejected", "expired"])
async def test_a_change_that_comes_to_nothing_is_named_too(how: str) -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 5})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        if how == "rejected":
            await stage.node.limits.reject(BEN, asked.change.id, reason="no", correlation="t")
        else:
            await stage.clock.move(86_400)
        await stage.until(lambda: f" {how}, " in _last(stage))
        assert _last(stage).startswith(f"change {asked.change.id} of limits {how}, proposed by anna: ")


def _last(stage: Stage) -> str:
    told = tally_of(stage, stage.clock.now().date()).sections.get(lines.LIMITS, [])
    return told[-1].what if told else ""


async def test_an_override_says_which_order_which_controls_and_until_when() -> None:
    async with Stage(limits={"soft": sorted(ADJUSTABLE)}) as stage:
        change = await overrides.granted(stage, "R06")
        await overrides.placed(stage)
        proposed, approved, granted, used = said(stage, lines.OVERRIDES)
        order = "buy 101 ESH4 limit at 4700 gtc for P-TEST"
        assert f"change {change.id} of override proposed" in proposed.what
        assert f"change {change.id} of override approved" in approved.what
        name, until = f"override {change.id}", "2026-01-05 15:15:00"
        assert granted.what == f"{name} granted: {order}, past R06, once, until {until}"
        assert granted.who == used.who == "anna; approved by ben"
        assert f"{name} used for order P-" in used.what
        assert "lifted R06 order-quantity (101 over 100)" in used.what
        assert order in used.what
        assert used.why == "a large client order"


async def test_a_break_says_both_sides_and_which_it_is_when_it_is_settled() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        answer = await resolve(stage, item.id, Action.DISMISS, reason="known")
        assert not isinstance(answer, Refusal)
        (opened,) = said(stage, lines.BREAKS)
        named = f"position of ESH4, severe ({item.id})"
        assert opened.what.startswith(f"break opened: {named}; ours ")
        assert ", theirs " in opened.what
        (settled,) = said(stage, lines.DECISIONS)
        assert settled.what == f"break settled by dismiss: {named}"
        assert (settled.who, settled.why) == ("trader", "known")


async def test_a_break_that_heals_says_which_it_was_and_by_what_proof() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        drift(stage, -2)
        await stage.until(lambda: natures(stage) == [])
        healed = said(stage, lines.BREAKS)[-1]
        assert healed.what.startswith("break healed: position of ESH4, severe (")
        assert healed.why


async def test_an_alarm_says_what_there_is_to_decide_by() -> None:
    async with Stage() as stage:
        stage.listener.on(
            "order_accepted", lambda: egress.change_terms(stage, egress.newest(stage), quantity=Decimal(9))
        )
        await stage.place()
        await stage.until(lambda: stage.listener.frames_of("alarm_raised"))
        (alarm,) = said(stage, lines.ALARMS)
        assert alarm.what.startswith("alarm raised: egress withheld, P-")
        assert "approved " in alarm.why
        assert "leaving " in alarm.why


async def test_what_a_key_refuses_says_to_whom_and_why() -> None:
    async with Stage() as stage:
        hook = msgspec.structs.replace(bounds.SMALL, subject="hook:trend", client_id="hook", owner="desk")
        answer = await stage.gate.place(hook, bounds.order(3), key=stage.key(), correlation="an-alert")
        assert isinstance(answer, Refusal)
        await stage.until(lambda: "use_refused" in stage.listener.kinds)
        (line,) = said(stage, lines.REFUSED)
        assert line.what.startswith("refused of ESH4")
        assert line.what.endswith(": key-notional")
        assert (line.who, line.why) == ("hook:trend, by hook; desk answers for it", answer.detail)
        assert tally_of(stage).counts["refused before risk was asked"] == 1


async def test_a_role_that_two_gave_is_a_privileged_act_with_its_words() -> None:
    house = access.House()
    await house.store.place_accounts([AccountPlace(access.HERE, "test", "east")])
    await house.open()
    try:
        change = await house.asked()
        told = lines.Lines()
        found = []
        for account in await house.journal.accounts():
            async for stored in house.journal.read(account, after=0):
                found.append(told.add(account, stored.at, stored.event))
    finally:
        await house.parts.stop()
    section, line = next(one for one in found if one is not None)
    assert section == lines.PRIVILEGED
    assert line.what.startswith(f"change {change.id} of role proposed, open until ")
    assert "carol trader of account P-HERE" in line.what
    assert line.who == "ann"


def _alone(event: object) -> Line:
    found = lines.Lines().add(ACCOUNT, START, event)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("event", "what", "who"),
    [
        (
            IdentityChanged(
                at=START, change=1, changed_at=START, what="client", operation="made", subject="bot",
                by="ordergate psql", facts={"scopes": "risk:write"},
            ),
            "identity changed: client bot made",
            "ordergate psql",
        ),
        (
            TokenIssued(
                at=START, token_id="t", client_id="bot", tenant="test", scopes=("risk:write",), accounts=(),
                expires_at=int((START + timedelta(hours=1)).timestamp()),
            ),
            "token issued with risk:write, until 2026-01-05 16:00:00",
            "bot",
        ),
        (
            RequestSigned(at=START, client_id="bot", subject="anna", key="", base="", signature="", body=""),
            "request signed",
            "anna, by bot",
        ),
        (
            GatewayStarted(at=START, version="1.2", environment="paper", settings_hash="abc"),
            "gateway started: release 1.2, settings abc",
            "",
        ),
        (GatewayStopped(at=START, version="1.2"), "gateway stopped: release 1.2", ""),
    ],
)  # fmt: skip
def test_a_privileged_act_says_what_was_done_and_by_whom(event: PrivilegedEvent, what: str, who: str) -> None:
    assert (_alone(event).what, _alone(event).who) == (what, who)


def test_what_a_person_says_became_of_an_order_is_told_with_what_was_filled() -> None:
    resolved = OrderResolved(
        order_id=OrderId("P-1"), at=START, resolution=Resolution.NEVER_ARRIVED, actor="anna", reason="told"
    )
    assert _alone(resolved).what == "order P-1 resolved: never-arrived"
    filled = msgspec.structs.replace(resolved, resolution=Resolution.FILLED, cum_qty=Decimal(2))
    assert _alone(filled).what == "order P-1 resolved: filled, 2 filled"


def test_cash_that_was_taken_over_says_how_much() -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    adjusted = CashAdjusted(account=AccountId("P-TEST"), at=at, amount=Decimal("-5.5"), why="a fee")
    assert _alone(adjusted).what == "cash adjusted by -5.5"
