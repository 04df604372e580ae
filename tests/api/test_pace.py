"""How fast a stream's client may go: what each frame is charged as, and what is kept back for cancels."""

from __future__ import annotations

from typing import Any

import pytest

from ordergate.api.quotas import Kind, Rate
from ordergate.api.stream.actions import Command, Send
from ordergate.core.access import Principal
from tests.api.sessions import FOLLOW, KEY, ORDER_ID, PLACE, a_session, only, said

CANCEL = {"type": "cancel", "id": "c", "idempotency_key": KEY, "order_id": ORDER_ID}
BACK = [
    CANCEL,
    {"type": "cancel_group", "id": "c", "idempotency_key": KEY, "group_id": "PG-000000000000000002"},
    {"type": "dead_man.arm", "id": "c", "gtc": "keep"},
    {"type": "dead_man.refresh", "id": "c"},
    {"type": "dead_man.disarm", "id": "c"},
]


@pytest.mark.parametrize("frame", BACK, ids=lambda frame: str(frame["type"]))
def test_too_many_messages_leave_as_many_that_take_back(frame: dict[str, Any]) -> None:
    session = a_session(messages=Rate(per_s=1, burst=2))
    for _ in range(3):
        said(session, **PLACE)
    assert only(said(session, **PLACE))["code"] == "rate-limited"
    assert [isinstance(said(session, **frame)[0], Send) for _ in range(3)] == [False, False, True]


def test_what_takes_back_finds_room_when_too_much_is_unanswered() -> None:
    session = a_session()
    for _ in range(3):
        assert isinstance(said(session, **PLACE)[0], Command)
    for _ in range(3):
        assert isinstance(said(session, **CANCEL)[0], Command)
    assert only(said(session, **CANCEL))["problem"]["code"] == "rate-limited"
    assert only(said(session, **PLACE))["problem"]["code"] == "rate-limited"


FRAMES_OF_KIND: list[tuple[dict[str, Any], Kind | None]] = [
    (PLACE, Kind.ORDERS),
    ({**CANCEL, "type": "replace", "limit_price": "4801"}, Kind.ORDERS),
    *((frame, Kind.CANCELS) for frame in BACK),
    (FOLLOW, Kind.READS),
    ({"type": "drop_copy.subscribe"}, Kind.READS),
    ({"type": "unsubscribe", "account_id": "P-DEMO"}, None),
    ({"type": "drop_copy.unsubscribe"}, None),
    ({"type": "ping"}, None),
    ({"type": "auth.refresh", "token": "t"}, None),
]


@pytest.mark.parametrize(("frame", "kind"), FRAMES_OF_KIND, ids=lambda given: str(given)[:40])
def test_every_frame_is_charged_as_what_it_is(frame: dict[str, Any], kind: Kind | None) -> None:
    charged: list[tuple[str, Kind]] = []

    def charge(principal: Principal, kind: Kind, _: float) -> float:
        charged.append((principal.client_id, kind))
        return 0.0

    said(a_session(charge=charge), **frame)
    assert charged == ([] if kind is None else [("trader", kind)])


@pytest.mark.parametrize(
    ("frame", "kind"),
    [({**PLACE, "order": {"side": "hold"}}, Kind.ORDERS), ({**CANCEL, "order_id": 7}, Kind.CANCELS)],
    ids=["place", "cancel"],
)
def test_a_mistyped_command_is_charged_like_one_that_is_not(frame: dict[str, Any], kind: Kind) -> None:
    charged: list[Kind] = []
    waits = [0.0, 2.5]

    def charge(_: Principal, kind: Kind, __: float) -> float:
        charged.append(kind)
        return waits.pop(0)

    session = a_session(charge=charge)
    answers = [only(said(session, **frame)) for _ in range(2)]
    assert [answer["problem"]["code"] for answer in answers] == ["invalid", "rate-limited"]
    assert charged == [kind, kind]


def test_a_spent_quota_is_told_in_the_words_of_rest_and_does_nothing() -> None:
    session = a_session(charge=lambda *_: 2.5)
    over = only(said(session, **PLACE))
    assert (over["type"], over["id"], over["status"]) == ("answer", "1", 429)
    assert (over["problem"]["code"], over["problem"]["detail"]) == ("rate-limited", "try again in 3 s")
    assert only(said(session, **FOLLOW))["code"] == "rate-limited"
    assert not session.channels


def test_a_spent_quota_says_in_a_number_how_long_to_wait() -> None:
    session = a_session(charge=lambda *_: 2.5)
    assert only(said(session, **PLACE))["problem"]["retry_after_s"] == 3
    assert only(said(session, **FOLLOW))["retry_after_s"] == 3
