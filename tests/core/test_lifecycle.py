"""The lifecycle as one picture: every status, every kind of event, and what comes of it.

`!` is a fault, `cancel*` and `replace*` are pending. A change of the table has to be made here
as well, in sight.
"""

from typing import Final, get_args

import pytest

from ordergate.core.faults import IllegalTransition
from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import BEGINNINGS, FINAL, OPEN, TRANSITIONS, Status, begin, step

LIFECYCLE: Final = """
kind                 accepted unknown  working  cancel*  replace* denied   rejected filled   canceled expired
OrderAccepted        !        !        !        !        !        !        !        !        !        !
OrderHeld            !        !        !        !        !        !        !        !        !        !
HeldReplaced         !        !        !        !        !        !        !        !        !        !
OrderDenied          !        !        !        !        !        !        !        !        !        !
OrderAdopted         !        !        !        !        !        !        !        !        !        !
DispatchStarted      accepted unknown  !        cancel*  replace* !        !        !        !        !
OrderAcknowledged    working  working  working  cancel*  replace* !        working  !        !        !
OrderSent            accepted unknown  working  cancel*  replace* !        rejected filled   canceled expired
OutcomeUnknown       unknown  unknown  working  cancel*  replace* !        rejected filled   canceled expired
OrderQuarantined     !        unknown  !        cancel*  !        !        !        !        !        !
OrderResolved        !        unknown  !        cancel*  !        !        !        !        !        !
OrderRejected        rejected rejected rejected rejected rejected !        !        !        !        !
OrderPartiallyFilled working  working  working  cancel*  replace* !        working  filled   canceled expired
OrderFilled          filled   filled   filled   filled   filled   !        filled   filled   canceled expired
ExecutionBusted      working  working  working  cancel*  replace* !        rejected filled   canceled expired
ExecutionCorrected   !        !        working  cancel*  replace* !        rejected filled   canceled expired
ExecutionDuplicated  !        !        working  cancel*  replace* !        rejected filled   canceled expired
OrderCompleted       filled   filled   filled   filled   filled   !        !        !        !        !
OrderReopened        !        !        !        !        !        !        working  working  !        !
CancelRequested      cancel*  unknown  cancel*  !        cancel*  !        !        !        !        !
CancelRejected       !        unknown  working  working  replace* !        rejected filled   canceled expired
OrderCanceled        canceled canceled canceled canceled canceled !        !        !        !        !
OrderExpired         expired  expired  expired  expired  expired  !        !        !        !        !
ReplaceRequested     !        !        replace* !        !        !        !        !        !        !
ReplaceDenied        !        !        working  !        !        !        !        !        !        !
OrderReplaced        !        !        working  cancel*  working  !        !        working  !        !
ReplaceRejected      !        !        working  cancel*  working  !        rejected filled   canceled expired
"""

# Of what is kept for the next session no broker has heard: it is approved and leaves, or ends here.
KEPT: Final = {
    "OrderAccepted": "accepted",
    "OrderDenied": "denied",
    "HeldReplaced": "held",
    "ReplaceDenied": "held",
    "CancelRequested": "held",
    "OrderCanceled": "canceled",
    "OrderExpired": "expired",
}

SHORT: Final = {"cancel*": "pending_cancel", "replace*": "pending_replace"}
KINDS: Final = {kind.__name__: kind for kind in get_args(e.AnyOrderEvent)}


def _rows() -> list[tuple[Status, str, Status | None]]:
    head, *lines = [line.split() for line in LIFECYCLE.strip().splitlines()]
    statuses = [Status(SHORT.get(word, word)) for word in head[1:]]
    kept = [(Status.HELD, kind, Status(KEPT[kind]) if kind in KEPT else None) for kind in sorted(KINDS)]
    return kept + [
        (status, kind, None if word == "!" else Status(SHORT.get(word, word)))
        for kind, *words in lines
        for status, word in zip(statuses, words, strict=True)
    ]


@pytest.mark.parametrize(("status", "kind", "after"), _rows(), ids=str)
def test_the_table_says_what_the_picture_says(status: Status, kind: str, after: Status | None) -> None:
    if after is not None:
        assert step(status, KINDS[kind]) is after
        return
    with pytest.raises(IllegalTransition, match=f"{status} has no row for {kind}"):
        step(status, KINDS[kind])


def test_the_picture_has_every_status_and_every_kind_once() -> None:
    assert sorted((status, kind) for status, kind, _ in _rows()) == sorted(
        (status, kind) for status in Status for kind in KINDS
    )


def test_the_table_has_no_row_outside_the_picture() -> None:
    assert {(status, kind.__name__) for status, kind in TRANSITIONS} == {
        (status, kind) for status, kind, after in _rows() if after is not None
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [("OrderAccepted", "accepted"), ("OrderDenied", "denied"), ("OrderAdopted", "working")],
)
def test_an_order_begins_accepted_denied_or_adopted(kind: str, status: str) -> None:
    assert begin(KINDS[kind]) is Status(status)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {kind.__name__ for kind in BEGINNINGS}))
def test_no_order_begins_with_anything_else(kind: str) -> None:
    with pytest.raises(IllegalTransition, match="no order begins with"):
        begin(KINDS[kind])


def test_a_denied_order_never_moves() -> None:
    assert not [kind for status, kind in TRANSITIONS if status is Status.DENIED]


def test_every_open_status_can_be_reached_and_can_end() -> None:
    reached = set(BEGINNINGS.values())
    while more := {after for (before, _), after in TRANSITIONS.items() if before in reached} - reached:
        reached |= more
    assert reached == set(Status)
    for status in OPEN:
        ends = {after for (before, _), after in TRANSITIONS.items() if before is status}
        nothing_left = {Status.REJECTED, Status.FILLED}
        assert ends >= FINAL - (nothing_left if status is Status.HELD else {Status.DENIED})


def test_only_proof_of_life_brings_an_order_back() -> None:
    back = {
        (before, kind) for (before, kind), after in TRANSITIONS.items() if before in FINAL and after in OPEN
    }
    assert back == {
        (Status.REJECTED, e.OrderAcknowledged),
        (Status.REJECTED, e.OrderPartiallyFilled),
        (Status.REJECTED, e.OrderReopened),
        (Status.FILLED, e.OrderReopened),
        (Status.FILLED, e.OrderReplaced),
    }
