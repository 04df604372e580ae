"""What makes a key wider, what nobody may give, and that what is journalled of a key is all of it."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest

from ordergate.core.access import KeyBounds, Principal, Scope, Sender
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.programs import Program, beyond, of_plain, plain, takes_two, widenings
from ordergate.core.refusals import Code

ONE, TWO = AccountId("P-ONE"), AccountId("P-TWO")
BOUNDS = KeyBounds(
    instruments=frozenset({Symbol("AAPL"), Symbol("MSFT")}),
    strategies=frozenset({"mean", "trend"}),
    notional_max=Decimal(1000),
    networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    expires_at=2_000,
    signed_requests=True,
)
BOT = Program(
    client_id="bot",
    tenant="acme",
    scopes=frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
    accounts=frozenset({ONE, TWO}),
    bounds=BOUNDS,
    sender=Sender.DPOP,
    has_secret=True,
)


def bounded(**changes: Any) -> Program:
    return msgspec.structs.replace(BOT, bounds=msgspec.structs.replace(BOUNDS, **changes))


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (BOT, ()),
        (msgspec.structs.replace(BOT, scopes=frozenset()), ()),
        (msgspec.structs.replace(BOT, scopes=BOT.scopes | {Scope.RISK_READ}), ("scope risk:read",)),
        (msgspec.structs.replace(BOT, accounts=frozenset({ONE})), ()),
        (msgspec.structs.replace(BOT, accounts=BOT.accounts | {AccountId("P-NEW")}), ("account P-NEW",)),
        (bounded(instruments=frozenset({Symbol("AAPL")})), ()),
        (bounded(instruments=frozenset({Symbol("AAPL"), Symbol("ESH4")})), ("instruments",)),
        (bounded(instruments=frozenset()), ("instruments",)),
        (bounded(strategies=frozenset({"mean"})), ()),
        (bounded(strategies=frozenset()), ("strategies",)),
        (bounded(notional_max=Decimal(999)), ()),
        (bounded(notional_max=Decimal("1000.01")), ("value of an order",)),
        (bounded(notional_max=None), ("value of an order",)),
        (bounded(networks=(ip_network("10.1.0.0/16"),)), ()),
        (bounded(networks=(ip_network("10.0.0.0/7"),)), ("networks",)),
        (bounded(networks=(ip_network("2001:db8::/31"),)), ("networks",)),
        (bounded(networks=()), ("networks",)),
        (bounded(expires_at=1_999), ()),
        (bounded(expires_at=2_001), ("end",)),
        (bounded(expires_at=None), ("end",)),
        (bounded(signed_requests=False), ("signatures",)),
        (
            msgspec.structs.replace(BOT, bounds=None),
            ("instruments", "strategies", "value of an order", "networks", "end", "signatures"),
        ),
        (msgspec.structs.replace(BOT, sender=Sender.ANY), ("tokens bound otherwise",)),
        (msgspec.structs.replace(BOT, sender=Sender.MTLS), ("tokens bound otherwise",)),
        (msgspec.structs.replace(BOT, enabled=False), ()),
    ],
)
def test_whatever_reaches_further_is_told(wanted: Program, told: tuple[str, ...]) -> None:
    assert widenings(BOT, wanted) == told


def test_a_key_without_bounds_can_only_be_narrowed() -> None:
    free = msgspec.structs.replace(BOT, bounds=None, sender=Sender.ANY)
    assert widenings(free, BOT) == ()
    assert widenings(msgspec.structs.replace(BOT, enabled=False), BOT) == ("enabled again",)


def giver(**changes: Any) -> Principal:
    whole = Principal(
        env=Env.PAPER,
        tenant="acme",
        client_id="ann",
        subject="ann",
        scopes=frozenset({Scope.ACCESS_WRITE, Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
        accounts=frozenset({ONE, TWO}),
        expires_at=9,
        token_id="t",
    )
    return msgspec.structs.replace(whole, **changes)


PAIRS = frozenset((account, scope) for account in (ONE, TWO) for scope in BOT.scopes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"bounds": BOUNDS}, None),
        ({"by_account": PAIRS}, None),
        ({"accounts": frozenset({ONE})}, Code.NOT_FOUND),
        ({"scopes": frozenset({Scope.ACCESS_WRITE, Scope.ORDERS_READ})}, Code.FORBIDDEN),
        ({"by_account": PAIRS - {(TWO, Scope.ORDERS_WRITE)}}, Code.FORBIDDEN),
        ({"bounds": msgspec.structs.replace(BOUNDS, notional_max=Decimal(999))}, Code.FORBIDDEN),
        ({"bounds": msgspec.structs.replace(BOUNDS, networks=(ip_network("10.0.0.0/9"),))}, Code.FORBIDDEN),
        ({"bounds": KeyBounds(instruments=frozenset({Symbol("AAPL")}))}, Code.FORBIDDEN),
    ],
)
def test_nobody_gives_more_than_they_have(changes: dict[str, Any], code: Code | None) -> None:
    no = beyond(giver(**changes), BOT)
    assert (None if no is None else no.code) is code


def test_what_is_of_no_account_is_given_by_whoever_has_it() -> None:
    looks = msgspec.structs.replace(BOT, scopes=frozenset({Scope.ACCESS_READ}), accounts=frozenset())
    assert beyond(giver(scopes=frozenset({Scope.ACCESS_READ}), by_account=frozenset()), looks) is None
    assert beyond(giver(), looks) is not None


@pytest.mark.parametrize("scope", [Scope.RISK_WRITE, Scope.OPERATIONS_WRITE, Scope.ACCESS_WRITE])
def test_a_key_that_could_be_the_other_person_takes_two(scope: Scope) -> None:
    assert takes_two(Env.PAPER, msgspec.structs.replace(BOT, scopes=frozenset({scope})))
    assert takes_two(Env.LIVE, BOT)
    assert not takes_two(Env.PAPER, BOT)


@pytest.mark.parametrize(
    "program", [BOT, msgspec.structs.replace(BOT, bounds=None, keys="{}", enabled=False)], ids=["all", "few"]
)
def test_what_is_journalled_of_a_key_is_all_of_it(program: Program) -> None:
    assert of_plain(msgspec.json.decode(msgspec.json.encode(plain(program)))) == program
