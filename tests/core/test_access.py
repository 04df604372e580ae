"""What roles come to, and that a scope counts only where it was given."""

from __future__ import annotations

import pytest

from ordergate.core.access import OF_ACCESS, SCOPES_OF, Principal, Role, Scope
from ordergate.core.ids import AccountId, Env

A, B, C = AccountId("P-A"), AccountId("P-B"), AccountId("P-C")


def somebody(*pairs: tuple[AccountId, Scope], scopes: frozenset[Scope] | None = None) -> Principal:
    return Principal(
        env=Env.PAPER,
        tenant="acme",
        client_id="desk",
        subject="ann",
        scopes=frozenset(scope for _, scope in pairs) if scopes is None else scopes,
        accounts=frozenset({A, B}),
        expires_at=1,
        token_id="t",
        by_account=frozenset(pairs) if pairs else None,
    )


def test_every_role_has_scopes_and_every_scope_a_role() -> None:
    assert set(SCOPES_OF) == set(Role)
    assert frozenset().union(*SCOPES_OF.values()) == frozenset(Scope)


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (Role.VIEWER, Scope.ORDERS_WRITE),
        (Role.TRADER, Scope.RISK_WRITE),
        (Role.RISK_MANAGER, Scope.ORDERS_WRITE),
        (Role.OPERATOR, Scope.RISK_WRITE),
        (Role.OPERATOR, Scope.ORDERS_WRITE),
        (Role.COMPLIANCE, Scope.ACCESS_WRITE),
        (Role.ADMINISTRATOR, Scope.ORDERS_WRITE),
        (Role.ADMINISTRATOR, Scope.RISK_WRITE),
    ],
)
def test_duties_are_kept_apart(role: Role, scope: Scope) -> None:
    assert scope not in SCOPES_OF[role]


def test_only_whoever_administers_gives_rights() -> None:
    assert [role for role in Role if Scope.ACCESS_WRITE in SCOPES_OF[role]] == [Role.ADMINISTRATOR]
    assert {Scope.ACCESS_READ, Scope.ACCESS_WRITE} == OF_ACCESS


def test_a_scope_on_one_account_is_none_on_another() -> None:
    ann = somebody((A, Scope.ORDERS_WRITE), (A, Scope.ORDERS_READ), (B, Scope.ORDERS_READ))

    assert ann.may(Scope.ORDERS_WRITE)
    assert ann.may_on(Scope.ORDERS_WRITE, A)
    assert not ann.may_on(Scope.ORDERS_WRITE, B)
    assert not ann.may_on(Scope.ORDERS_READ, C)
    assert ann.accounts_for(Scope.ORDERS_WRITE) == {A}
    assert ann.accounts_for(Scope.ORDERS_READ) == {A, B}
    assert ann.within(Scope.ORDERS_WRITE).accounts == {A}


def test_without_roles_every_scope_holds_on_each_account() -> None:
    desk = somebody(scopes=frozenset({Scope.ORDERS_WRITE}))

    assert desk.accounts_for(Scope.ORDERS_WRITE) == {A, B}
    assert desk.accounts_for(Scope.ORDERS_READ) == frozenset()
    assert desk.within(Scope.ORDERS_WRITE) is desk


def test_whoever_may_change_limits_may_also_stop_but_not_the_other_way() -> None:
    assert somebody((A, Scope.RISK_WRITE)).accounts_for(Scope.OPERATIONS_WRITE) == {A}
    assert not somebody((A, Scope.OPERATIONS_WRITE)).may(Scope.RISK_WRITE)
