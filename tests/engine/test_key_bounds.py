"""A bounded key: refused before risk is asked, never once an order is in, and free to take orders back."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ordergate.core.access import KeyBounds
from ordergate.core.contingent.terms import GroupKind, GroupTerms, Leg, LegType, Role
from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer, GroupAnswer
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

SMALL = msgspec.structs.replace(TRADER, bounds=KeyBounds(notional_max=Decimal(4_800 * 50 * 2)))
ELSEWHERE = msgspec.structs.replace(TRADER, bounds=KeyBounds(instruments=frozenset({Symbol("NQH4")})))
OTHER_STRATEGY = msgspec.structs.replace(TRADER, bounds=KeyBounds(strategies=frozenset({"mean"})))


def order(quantity: int = 1, limit: int | None = 4_700) -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce.DAY,
    )


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Refusal) else None


async def test_an_order_beyond_the_key_is_refused_before_risk_is_asked_and_that_alone_is_journalled() -> None:
    async with Stage() as stage:
        before = len(stage.listener.kinds)
        for number, (who, terms, expected) in enumerate(
            [
                (SMALL, order(3), Code.KEY_NOTIONAL),
                (SMALL, order(1, 9_601), Code.KEY_NOTIONAL),
                (ELSEWHERE, order(), Code.KEY_INSTRUMENT),
                (OTHER_STRATEGY, order(), Code.KEY_STRATEGY),
            ]
        ):
            for wait_s in (0, 1):  # the short way and the long one
                answer = await stage.gate.place(
                    who, terms, key=f"key-of-a-test-{number}-{wait_s}", correlation="t", wait_s=wait_s
                )
                assert code(answer) is expected
        await stage.until(lambda: len(stage.listener.kinds) == before + 8)
        assert set(stage.listener.kinds[before:]) == {"use_refused"}
        assert stage.placed_at_exchange() == 0


async def test_what_was_refused_says_who_asked_for_what_and_why() -> None:
    async with Stage() as stage:
        hook = msgspec.structs.replace(SMALL, subject="hook:trend", client_id="hook:trend", owner="desk")
        answer = await stage.gate.place(hook, order(3), key=stage.key(), correlation="an-alert")
        assert isinstance(answer, Refusal)
        await stage.until(lambda: stage.listener.kinds[-1:] == ["use_refused"])
        (told,) = stage.listener.frames_of("use_refused")
        event = told["detail"]
        assert (event["code"], event["detail"]) == ("key-notional", answer.detail)
        assert (event["actor"], event["owner"], event["symbol"]) == ("hook:trend", "desk", ES)


async def test_what_the_idempotency_key_bought_is_told_again_whatever_the_bounds_are_now() -> None:
    async with Stage() as stage:
        first = await stage.gate.place(TRADER, order(3), key="key-of-a-test-again", correlation="t")
        assert isinstance(first, Answer)

        again = await stage.gate.place(SMALL, order(3), key="key-of-a-test-again", correlation="t")

        assert isinstance(again, Answer)
        assert again.replayed


async def test_a_replacement_is_bounded_and_a_cancel_is_not() -> None:
    async with Stage() as stage:
        placed = await stage.gate.place(SMALL, order(1), key="key-of-a-test-small", correlation="t")
        assert isinstance(placed, Answer)
        order_id = placed.order_id
        await stage.until(lambda: stage.status(order_id) == "working")

        for who, quantity, expected in ((SMALL, 3, Code.KEY_NOTIONAL), (ELSEWHERE, 2, Code.KEY_INSTRUMENT)):
            no = await stage.gate.replace(
                who,
                order_id,
                quantity=Decimal(quantity),
                limit_price=None,
                stop_price=None,
                key=f"key-of-a-replace-{quantity}",
                correlation="t",
            )
            assert code(no) is expected
        canceled = await stage.gate.cancel(ELSEWHERE, order_id, key="key-of-a-test-cancel", correlation="t")
        assert isinstance(canceled, Answer)


async def test_groups_and_flattens_are_bounded_too() -> None:
    async with Stage() as stage:
        terms = GroupTerms(
            account=ACCOUNT,
            kind=GroupKind.TRAILING_STOP,
            symbol=ES,
            quantity=Decimal(1),
            legs=(Leg(role=Role.TRAIL, side=Side.SELL, type=LegType.TRAILING_STOP, trail_amount=Decimal(5)),),
        )
        groups = stage.node.groups
        no = await groups.place(ELSEWHERE, terms, key="key-of-a-test-group", correlation="t")
        assert code(no) is Code.KEY_INSTRUMENT
        no = await groups.flatten(SMALL, ACCOUNT, key="key-of-a-test-flat-1", correlation="t")
        assert code(no) is Code.KEY_NOTIONAL
        no = await groups.flatten(ELSEWHERE, ACCOUNT, key="key-of-a-test-flat-2", correlation="t")
        assert code(no) is Code.KEY_INSTRUMENT
        done = await groups.flatten(TRADER, ACCOUNT, key="key-of-a-test-flat-3", correlation="t")
        assert isinstance(done, GroupAnswer)


async def test_orders_of_who_must_sign_are_taken_in_signed_requests_alone() -> None:
    """Whatever door they came in by: the stream has no signatures, and so has no way past this."""
    unsigned = msgspec.structs.replace(TRADER, bounds=KeyBounds(signed_requests=True))
    signed = msgspec.structs.replace(unsigned, signed=True)
    async with Stage() as stage:
        gate, key = stage.gate, "key-of-a-test-signed"
        no = [
            await gate.place(unsigned, order(), key=key, correlation="t"),
            await gate.place(unsigned, order(), key=key, correlation="t", wait_s=1),
            await gate.cancel_all(unsigned, ACCOUNT, key=key, correlation="t"),
            await stage.node.groups.flatten(unsigned, ACCOUNT, key=key, correlation="t"),
        ]
        placed = await gate.place(signed, order(), key=key, correlation="t")
        assert isinstance(placed, Answer)
        which = placed.order_id
        await stage.until(lambda: stage.status(which) == "working")
        no += [
            await gate.place(unsigned, order(), key=key, correlation="t"),
            await gate.replace(
                unsigned,
                which,
                quantity=Decimal(2),
                limit_price=None,
                stop_price=None,
                key=f"{key}-2",
                correlation="t",
            ),
            await gate.cancel(unsigned, which, key=f"{key}-3", correlation="t"),
        ]
        assert {code(answer) for answer in no} == {Code.SIGNATURE_REQUIRED}
        assert isinstance(await gate.cancel(signed, which, key=f"{key}-4", correlation="t"), Answer)
