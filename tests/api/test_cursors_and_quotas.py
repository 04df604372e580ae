"""Cursors belong to their listing, and buckets keep their rate within a bound of memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.api.cursors import cursor_of, key_in
from ordergate.api.quotas import Bucket, Buckets, Rate
from ordergate.core.refusals import Refusal

KEYS = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@given(KEYS)
def test_a_cursor_gives_back_its_key_to_its_own_listing_only(key: str) -> None:
    cursor = cursor_of("orders of P-DEMO", key)
    assert key_in("orders of P-DEMO", cursor) == key
    assert isinstance(key_in("orders of P-OTHER", cursor), Refusal)


@given(st.text(max_size=60))
def test_a_text_that_is_no_cursor_is_refused_and_never_a_fault(text: str) -> None:
    assert isinstance(key_in("orders", text), Refusal)


@given(KEYS, st.data())
def test_a_cursor_with_one_character_changed_is_refused(key: str, data: st.DataObject) -> None:
    cursor = cursor_of("orders", key)
    place = data.draw(st.integers(0, len(cursor) - 2))
    other = data.draw(st.sampled_from("ABCabc019-_"))
    changed = cursor[:place] + other + cursor[place + 1 :]
    found = key_in("orders", changed)
    assert changed == cursor or isinstance(found, Refusal)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(Rate(per_s=2, burst=3), now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.5) == 0.0
    assert bucket.take(100.5) > 0.0


@given(st.lists(st.floats(0, 3), max_size=60))
def test_no_bucket_gives_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    bucket = Bucket(Rate(per_s=5, burst=4), now=0.0)
    now = 0.0
    taken = 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0
    assert taken <= 4 + 5 * now + 1e-6


def test_a_bucket_knows_how_long_it_stays_empty() -> None:
    bucket = Bucket(Rate(per_s=2, burst=1), now=100.0)
    assert bucket.wait_s(100.0) == 0.0
    bucket.take(100.0)
    assert bucket.wait_s(100.1) == pytest.approx(0.4)
    assert bucket.wait_s(103.0) == 0.0


def test_one_keys_bucket_is_not_anothers() -> None:
    buckets = Buckets(Rate(per_s=1, burst=1))
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0.0
    assert buckets.take("b", 0.0) == 0.0


def test_only_so_many_buckets_are_remembered_and_the_longest_unused_is_forgotten() -> None:
    buckets = Buckets(Rate(per_s=1, burst=1), buckets_max=2)
    for key in ("a", "b", "c"):
        buckets.take(key, 0.0)
    assert buckets.take("c", 0.0) > 0.0
    assert buckets.take("a", 0.0) == 0.0


def test_a_rate_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        Rate(per_s=0, burst=1)
