"""The seal covers every field, and no two records share one."""

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.journal import chain

RECORD: Final[dict[str, Any]] = {
    "account": "P-alice",
    "seq": 1,
    "kind": "order_accepted",
    "version": 1,
    "order_id": "P-1",
    "at": datetime(2026, 1, 5, 14, 30, 0, 123456, tzinfo=UTC),
    "correlation": "request",
    "body": b'{"a":1}',
    "frame": b'{"b":2}',
}
TEXT: Final = st.text(max_size=6)
RECORDS: Final = st.fixed_dictionaries(
    {
        "account": TEXT,
        "seq": st.integers(1, 2**63 - 1),
        "kind": TEXT,
        "version": st.integers(1, 2**31 - 1),
        "order_id": st.none() | TEXT,
        "at": st.datetimes(timezones=st.just(UTC)),
        "correlation": TEXT,
        "body": st.binary(max_size=6),
        "frame": st.binary(max_size=6),
    }
)


def test_the_seal_is_what_the_documentation_says() -> None:
    prior = chain.genesis("P-alice")
    at_us = 1_767_623_400_123_456
    header = struct.pack(">qqiiiiiii", 1, at_us, 1, 7, 14, 3, 7, 7, 7)
    texts = b"P-alice" + b"order_accepted" + b"P-1" + b"request" + b'{"a":1}' + b'{"b":2}'
    expected = hashlib.sha256(b"ordergate/journal/event/v1" + prior + header + texts).digest()
    assert chain.seal(prior, **RECORD) == expected
    assert prior == hashlib.sha256(b"ordergate/journal/stream/v1P-alice").digest()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("account", "P-bob"),
        ("seq", 2),
        ("kind", "order_denied"),
        ("version", 2),
        ("order_id", None),
        ("order_id", ""),
        ("at", RECORD["at"] + timedelta(microseconds=1)),
        ("correlation", "another"),
        ("body", b'{"a":2}'),
        ("frame", b'{"b":3}'),
    ],
)
def test_any_other_value_of_any_field_gives_another_seal(field: str, other: Any) -> None:
    prior = chain.genesis("P-alice")
    assert chain.seal(prior, **{**RECORD, field: other}) != chain.seal(prior, **RECORD)


def test_an_absent_order_and_an_empty_one_differ() -> None:
    prior = chain.genesis("P-alice")
    absent, empty = ({**RECORD, "order_id": value} for value in (None, ""))
    assert chain.seal(prior, **absent) != chain.seal(prior, **empty)


@given(one=RECORDS, other=RECORDS)
def test_two_records_have_one_seal_only_if_they_are_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    prior = chain.genesis("P-alice")
    assert (chain.seal(prior, **one) == chain.seal(prior, **other)) == (one == other)


@given(fields=RECORDS)
def test_bytes_moved_from_one_field_to_the_next_are_noticed(fields: dict[str, Any]) -> None:
    moved = {**fields, "body": fields["body"] + fields["frame"][:1], "frame": fields["frame"][1:]}
    prior = chain.genesis("P-alice")
    assert (chain.seal(prior, **moved) == chain.seal(prior, **fields)) == (fields["frame"] == b"")
