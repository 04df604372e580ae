"""Changes that wait for another person: bounded, so that nobody's wishes keep another's from being heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ordergate.core.approvals import (
    PENDING_MAX,
    PENDING_OF_ONE_MAX,
    Change,
    ChangeProposed,
    ChangeRejected,
    Person,
    decide_propose,
    evolve,
)
from ordergate.core.refusals import Code, Refusal

NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)


def proposed(number: int, subject: str, tenant: str) -> ChangeProposed:
    return ChangeProposed(
        change_id=f"chg-{number}",
        at=NOW,
        subject="override",
        summary=("one order",),
        content={},
        by=Person(subject, "console", tenant),
        reason="as agreed",
        expires_at=NOW + timedelta(minutes=15),
    )


def after(changes: dict[str, Change], how_many: int, people: int, tenant: str) -> int:
    """How many of them were heard."""
    heard = 0
    for number in range(how_many):
        event = decide_propose(changes, proposed(len(changes), f"p-{number % people}", tenant))
        if not isinstance(event, Refusal):
            changes.update(evolve(changes, event))
            heard += 1
    return heard


def test_one_person_has_a_few_that_wait_and_another_is_heard() -> None:
    changes: dict[str, Change] = {}
    assert after(changes, PENDING_OF_ONE_MAX + 10, 1, "acme") == PENDING_OF_ONE_MAX

    refused = decide_propose(changes, proposed(9_999, "p-0", "acme"))
    assert isinstance(refused, Refusal)
    assert refused.code is Code.UNAVAILABLE
    assert "p-0" in refused.detail
    assert not isinstance(decide_propose(changes, proposed(9_999, "another", "acme")), Refusal)
    assert not isinstance(decide_propose(changes, proposed(9_999, "p-0", "other")), Refusal)


def test_what_is_settled_makes_room() -> None:
    changes: dict[str, Change] = {}
    after(changes, PENDING_OF_ONE_MAX, 1, "acme")
    by = Person("p-0", "console", "acme")
    changes = evolve(changes, ChangeRejected(change_id="chg-0", at=NOW, by=by, reason="no"))
    assert not isinstance(decide_propose(changes, proposed(9_999, "p-0", "acme")), Refusal)


def test_a_tenant_takes_no_more_than_half_of_what_others_left() -> None:
    changes: dict[str, Change] = {}
    assert after(changes, PENDING_MAX, 100, "acme") == PENDING_MAX // 2
    assert after(changes, PENDING_MAX, 100, "other") == PENDING_MAX // 4
    assert after(changes, PENDING_MAX, 100, "third") > 0
    assert after(changes, 10, 100, "acme") == 0
