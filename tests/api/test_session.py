"""The conversation, as a pure machine: frames in, actions out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.api.quotas import Rate
from ordergate.api.stream.actions import (
    CancelAsked,
    Close,
    Command,
    Join,
    Leave,
    Login,
    ReplaceAsked,
    Send,
    Unwatch,
    Watch,
)
from ordergate.core.access import Scope
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from tests.api.asking import an_order
from tests.api.people import EVERYTHING, READING, principal
from tests.api.sessions import FOLLOW, KEY, ORDER_ID, PLACE, TRADER, a_session, only, said, sent


def test_a_place_becomes_a_command_with_exact_terms() -> None:
    (command,) = said(a_session(), **PLACE, wait_s=2)
    assert isinstance(command, Command)
    assert isinstance(command.asked, Terms)
    assert (command.frame_id, command.key, command.wait_s) == ("1", KEY, 2)
    assert str(command.asked.limit_price) == "4800.25"


def test_cancel_and_replace_become_commands() -> None:
    session = a_session()
    (cancel,) = said(session, type="cancel", id="2", idempotency_key=KEY, order_id=ORDER_ID)
    (replace,) = said(
        session, type="replace", id="3", idempotency_key=KEY, order_id=ORDER_ID, limit_price="4801"
    )
    assert isinstance(cancel, Command)
    assert isinstance(replace, Command)
    assert cancel.asked == CancelAsked(ORDER_ID)  # type: ignore[arg-type]  # plain text here
    assert isinstance(replace.asked, ReplaceAsked)
    assert str(replace.asked.changes.limit_price) == "4801"
    assert cancel.correlation != replace.correlation


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"idempotency_key": None}, "idempotency-key-missing"),
        ({"idempotency_key": "short"}, "idempotency-key-invalid"),
        ({"order": an_order(quantity="0")}, "invalid"),
        ({"order": an_order(limit_price=None)}, "invalid"),
        ({"order": an_order(quantity="1e3")}, "invalid"),
        ({"order": an_order(quantity=3)}, "invalid"),
        ({"order": an_order(side="buyy")}, "invalid"),
        ({"order": an_order(symbol="esm4")}, "invalid"),
        ({"order": an_order(env="live")}, "unknown-field"),
        ({"order": None}, "invalid"),
        ({"qty": "1"}, "unknown-field"),
        ({"type": "cancel", "order": None, "order_id": "mine"}, "unknown-field"),
    ],
)
def test_a_command_that_cannot_be_is_answered_like_rest_and_is_no_strike(
    changed: dict[str, Any], code: str
) -> None:
    session = a_session()
    for _ in range(5):
        answer = only(said(session, **{**PLACE, **changed}))
        assert (answer["type"], answer["id"], answer["status"]) == ("answer", "1", 400)
        assert answer["problem"]["code"] == code
    assert not session.closed


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"type": "fly"}, "invalid"),
        ({}, "invalid"),
        ({"type": "ping", "extra": 1}, "unknown-field"),
        ({"type": "place"}, "invalid"),
        ({**PLACE, "id": "not an id"}, "invalid"),
        ({"type": "subscribe", "id": "7"}, "invalid"),
        ({"type": "subscribe", "account_id": "P-DEMO", "channels": []}, "invalid"),
        ({"type": "subscribe", "account_id": "P-DEMO", "channels": ["secrets"]}, "invalid"),
        ({**FOLLOW, "symbols": ["ESM4"]}, "invalid"),
        ({"type": "subscribe", "channel": "orders", "symbols": ["ESM4"]}, "invalid"),
        ({"type": "unsubscribe"}, "invalid"),
        ({"type": "authenticate", "token": "again"}, "invalid"),
    ],
)  # fmt: skip
def test_a_frame_that_no_client_should_send_is_told_and_the_third_closes(
    frame: dict[str, Any], code: str
) -> None:
    session = a_session()
    for _ in range(2):
        told = only(said(session, **frame))
        assert (told["type"], told["code"]) == ("error", code)
        assert told.get("id") == frame.get("id")
    last = said(session, **frame)
    assert last[-1] == Close(4000, "too many frames that mean nothing")
    assert said(session, **PLACE) == []


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b'{"type":"ping","type":"ping"}', b"\xff", b"[" * 9_999]
)
def test_bad_json_is_an_error_frame(text: bytes) -> None:
    told = only(list(a_session().received(text, 0.0)))
    assert (told["type"], told["code"]) == ("error", "malformed")


def test_before_a_token_a_mistyped_order_is_a_strike_like_all_else() -> None:
    session = a_session(logged_in=False)
    told = only(said(session, **{**PLACE, "order": an_order(side="buyy")}))
    assert (told["type"], told["id"]) == ("error", "1")


def test_before_a_token_nothing_but_a_token_is_listened_to() -> None:
    session = a_session(logged_in=False)
    assert only(said(session, **PLACE))["code"] == "unauthenticated"
    (login,) = said(session, type="authenticate", token="t", id="a")
    assert login == Login(token="t", dpop=None, ticket=None, frame_id="a")
    told = only(list(session.logged_in(TRADER, "a")))
    assert (told["type"], told["id"], told["accounts"]) == ("authenticated", "a", ["P-DEMO"])
    assert isinstance(said(session, **PLACE)[0], Command)


def test_a_client_that_sends_no_token_in_time_is_closed() -> None:
    session = a_session(logged_in=False)
    assert only(list(session.ticked(4.9, {})))["type"] == "heartbeat"
    assert list(session.ticked(5.0, {})) == [Close(4001, "no token came in time")]


def test_a_token_that_is_not_valid_closes_with_4001() -> None:
    session = a_session(logged_in=False)
    actions = list(session.logged_in(Refusal(Code.UNAUTHENTICATED, "the access token is not valid"), "a"))
    assert sent(actions)[0]["code"] == "unauthenticated"
    assert isinstance(actions[-1], Close)
    assert actions[-1].code == 4001


def test_a_refreshed_token_of_another_client_closes_with_4003() -> None:
    session = a_session()
    assert said(session, type="auth.refresh", token="t") == [
        Login(token="t", dpop=None, ticket=None, frame_id=None)
    ]
    (close,) = session.logged_in(principal("stranger", EVERYTHING), None)
    assert isinstance(close, Close)
    assert close.code == 4003


def test_a_refreshed_token_that_allows_less_ends_what_it_does_not_allow() -> None:
    session = a_session()
    said(session, type="subscribe", account_id="P-DEMO", channels=["orders"])
    said(session, type="subscribe", channel="quotes", symbols=["ESM4"])
    less = msgspec.structs.replace(TRADER, scopes=frozenset({Scope.ACCOUNTS_READ}))
    actions = list(session.logged_in(less, None))
    assert Leave("P-DEMO") in actions  # type: ignore[arg-type]  # plain text here
    assert Unwatch("quotes", ("ESM4",)) in actions
    lost = [(frame["code"], frame["detail"]) for frame in sent(actions)[1:]]
    assert lost == [
        ("forbidden", "the new token does not allow this subscription to P-DEMO"),
        ("forbidden", "the new token does not allow quotes"),
    ]
    assert session.channels == {}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"account_id": "P-OTHER", "channels": ["orders"]}, "not-found"),
        ({"account_id": "P-NOBODY", "channels": ["orders"]}, "not-found"),
        ({"account_id": "L-DEMO", "channels": ["orders"]}, "not-found"),
        ({"channel": "quotes", "symbols": ["NOPE"]}, "unknown-instrument"),
    ],
)
def test_what_is_not_theirs_cannot_be_followed(frame: dict[str, Any], code: str) -> None:
    told = only(said(a_session(), type="subscribe", id="s", **frame))
    assert (told["type"], told["code"], told["id"]) == ("error", code, "s")


def test_every_channel_needs_its_scope() -> None:
    session = a_session(logged_in=False)
    session.logged_in(msgspec.structs.replace(TRADER, scopes=frozenset({Scope.ORDERS_READ})), None)
    for channels, joins in ((["orders", "executions"], True), (["orders", "balances"], False)):
        actions = said(session, type="subscribe", account_id="P-DEMO", channels=channels)
        assert isinstance(actions[0], Join) is joins
    told = only(said(session, type="subscribe", channel="trades", symbols=["ESM4"]))
    assert told["code"] == "forbidden"


def test_following_and_leaving_are_told_to_the_driver() -> None:
    session = a_session()
    (join,) = said(
        session,
        type="subscribe",
        id="s",
        account_id="P-DEMO",
        channels=["orders", "orders", "positions"],
        resume={"stream_id": "x", "after_seq": 7},
    )
    assert isinstance(join, Join)
    assert join.channels == ("orders", "positions")
    assert join.resume is not None
    assert join.resume.after_seq == 7
    leave, done = said(session, type="unsubscribe", account_id="P-DEMO", id="u")
    assert leave == Leave("P-DEMO")  # type: ignore[arg-type]  # plain text here
    assert only([done]) == {"type": "unsubscribed", "id": "u", "account_id": "P-DEMO"}


def test_prices_are_watched_by_symbol_and_left_by_symbol() -> None:
    session = a_session()
    done, watch = said(session, type="subscribe", channel="quotes", symbols=["ESM4", "BTC/USD", "ESM4"])
    assert watch == Watch("quotes", ("ESM4", "BTC/USD"))
    assert only([done])["symbols"] == ["BTC/USD", "ESM4"]
    unwatch, _ = said(session, type="unsubscribe", channel="quotes", symbols=["ESM4", "NOPE"])
    assert unwatch == Unwatch("quotes", ("ESM4",))


def test_commands_in_flight_are_bounded_and_an_answer_makes_room() -> None:
    session = a_session()
    for _ in range(3):
        assert isinstance(said(session, **PLACE)[0], Command)
    busy = only(said(session, **PLACE))
    assert (busy["status"], busy["problem"]["code"]) == (429, "rate-limited")
    assert busy["problem"]["retry_after_s"] == 1
    session.answered()
    assert isinstance(said(session, **PLACE)[0], Command)


def test_too_many_messages_are_told_with_their_id_and_are_no_strike() -> None:
    session = a_session(messages=Rate(per_s=1, burst=2))
    assert len([1 for _ in range(2) if only(said(session, type="ping", id="p"))["type"] == "pong"]) == 2
    for _ in range(5):
        told = only(said(session, type="ping", id="p9"))
        assert (told["type"], told["code"], told["id"]) == ("error", "rate-limited", "p9")
        assert told["retry_after_s"] == 1
    later = list(session.received(b'{"type":"ping"}', 2.0))
    assert only(later)["type"] == "pong"


def test_a_heartbeat_names_the_last_number_of_every_subscription() -> None:
    assert only(list(a_session().ticked(1.0, {"P-DEMO": 12}))) == {
        "type": "heartbeat",
        "last_seq": {"P-DEMO": 12},
    }


def test_a_revoked_token_closes_with_4001_and_only_once() -> None:
    session = a_session()
    assert list(session.revoked()) == [Close(4001, "the token has expired or was revoked")]
    assert list(session.revoked()) == []


def test_a_reader_may_listen_and_its_commands_are_left_for_the_gate_to_refuse() -> None:
    session = a_session(logged_in=False)
    session.logged_in(principal("reader", READING), None)
    assert isinstance(said(session, type="subscribe", account_id="P-DEMO", channels=["orders"])[0], Join)
    assert isinstance(said(session, **PLACE)[0], Command)


TYPES = st.sampled_from(["place", "cancel", "replace", "subscribe", "unsubscribe", "ping", "authenticate"])
FRAMES = st.one_of(
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {"type": TYPES},
        optional={
            "id": st.one_of(st.text(max_size=5), st.integers()),
            "idempotency_key": st.sampled_from([KEY, "x", None]),
            "order": st.just(an_order()) | st.none() | st.dictionaries(st.text(max_size=3), st.text()),
            "order_id": st.sampled_from([ORDER_ID, "L-000000000000000001", "x"]),
            "quantity": st.sampled_from(["1", "-1", 1, None]),
            "account_id": st.sampled_from(["P-DEMO", "P-OTHER", ""]),
            "channels": st.lists(st.sampled_from(["orders", "account", "x"]), max_size=3),
            "channel": st.sampled_from(["quotes", "trades", "x"]),
            "symbols": st.lists(st.sampled_from(["ESM4", "x"]), max_size=3),
        },
    ).map(msgspec.json.encode),
)  # fmt: skip


@given(st.lists(FRAMES, max_size=12), st.booleans())
def test_whatever_a_client_sends_it_is_answered_or_closed_and_never_a_fault(
    texts: list[bytes], logged_in: bool
) -> None:
    session = a_session(logged_in=logged_in)
    for text in texts:
        was_closed = session.closed
        actions = list(session.received(text, 0.0))
        assert bool(actions) is not was_closed
        if session.principal is None:
            assert not any(isinstance(action, Command | Join | Watch) for action in actions)


@pytest.mark.parametrize("frame", [{}, {"token": "t", "ticket": "k"}, {"ticket": "k", "dpop": "p"}])
def test_a_login_is_by_a_token_or_by_a_ticket(frame: dict[str, str]) -> None:
    session = a_session(logged_in=False)
    (told,) = said(session, type="authenticate", **frame)
    assert isinstance(told, Send)
    assert told.refused is Code.INVALID


def test_a_proof_that_lacks_the_nonce_is_told_it_and_may_be_made_again() -> None:
    session = a_session(logged_in=False)
    (told,) = session.logged_in(Refusal(Code.PROOF_NONCE, "again"), "a", "the-nonce")
    assert isinstance(told, Send)
    assert b'"dpop_nonce":"the-nonce"' in told.payload
    assert not session.closed
