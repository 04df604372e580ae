"""Guessing is slow, memory is bounded, and who guesses locks out himself first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.security.throttle import ADDRESS, CLIENT, PAIR, UNPROVEN, Shows, Throttle


class Now:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def fails(throttle: Throttle, client: str, address: str) -> bool:
    """One failed attempt; whether it was let through to be checked."""
    return throttle.charge(client, address) == 0


def test_after_so_many_failures_one_must_wait_and_then_may_try_again() -> None:
    now = Now()
    throttle = Throttle(now)
    for _ in range(PAIR.failures):
        assert fails(throttle, "desk", "a")

    wait = throttle.charge("desk", "a")

    assert 0 < wait <= PAIR.interval_s
    now.seconds += wait - 0.01
    assert not fails(throttle, "desk", "a")
    now.seconds += 0.02
    assert fails(throttle, "desk", "a")
    assert not fails(throttle, "desk", "a")


def test_an_address_that_tries_many_clients_is_stopped() -> None:
    throttle = Throttle(Now())

    through = sum(fails(throttle, f"client{i}", "a") for i in range(100))

    assert through == ADDRESS.failures
    assert fails(throttle, "client1", "b")


def test_a_client_attacked_from_everywhere_is_protected_too() -> None:
    throttle = Throttle(Now())

    through = sum(fails(throttle, "desk", f"address{i}") for i in range(500))

    assert through == CLIENT.failures


def test_a_guesser_at_one_address_does_not_lock_the_client_out_elsewhere() -> None:
    throttle = Throttle(Now())
    for _ in range(50):
        throttle.charge("desk", "a")

    assert fails(throttle, "desk", "b")


def test_successes_cost_nothing() -> None:
    throttle = Throttle(Now())

    for _ in range(1_000):
        assert throttle.charge("desk", "a") == 0
        throttle.refund("desk", "a")

    assert len(throttle) == 0


def test_a_client_called_like_an_address_is_not_mixed_up_with_it() -> None:
    throttle = Throttle(Now())
    for _ in range(10):
        throttle.charge("", "a")

    assert fails(throttle, "a", "")
    assert fails(throttle, "other", "a")


def test_memory_is_bounded_whatever_comes() -> None:
    throttle = Throttle(Now(), keys_max=100)

    for i in range(10_000):
        throttle.charge(f"client{i}", f"address{i}")

    assert len(throttle) <= 100


attempts = st.lists(
    st.tuples(st.sampled_from("xy"), st.sampled_from("ab"), st.booleans(), st.floats(0, 20)), max_size=200
)


@given(attempts)
def test_no_pattern_gets_more_failures_through_than_the_limit_allows(
    pattern: list[tuple[str, str, bool, float]],
) -> None:
    now = Now()
    throttle = Throttle(now)
    began = now.seconds
    failed: dict[tuple[str, str], int] = {}
    for client, address, right, pause in pattern:
        now.seconds += pause
        if throttle.charge(client, address) > 0:
            continue
        if right:
            throttle.refund(client, address)
        else:
            failed[client, address] = failed.get((client, address), 0) + 1

    allowed = PAIR.failures + (now.seconds - began) / PAIR.interval_s + 1e-6
    assert all(count <= allowed for count in failed.values())


def test_where_a_client_got_in_before_no_stranger_and_no_neighbour_keeps_it_out() -> None:
    throttle = Throttle(Now())
    throttle.charge("desk", "a")
    throttle.succeeded("desk", "a")

    for number in range(500):
        throttle.charge("desk", f"address{number}")
        throttle.charge(f"client{number}", "a")

    assert not fails(throttle, "desk", "elsewhere")
    assert not fails(throttle, "other", "a")
    assert sum(fails(throttle, "desk", "a") for _ in range(100)) == PAIR.failures, "it may not guess either"


def test_what_cannot_be_guessed_keeps_no_client_out_elsewhere() -> None:
    throttle = Throttle(Now())
    for number in range(500):
        throttle.charge("desk", f"address{number}")

    assert throttle.charge("desk", "another", shows=Shows.SIGNATURE) == 0
    assert sum(throttle.charge("desk", "a", shows=Shows.SIGNATURE) == 0 for _ in range(100)) == PAIR.failures


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_the_addresses_of_one_machine_are_one(one: str, other: str, same: bool) -> None:
    throttle = Throttle(Now())
    for _ in range(PAIR.failures):
        assert fails(throttle, "desk", one)

    assert fails(throttle, "desk", other) is not same


def test_programs_that_prove_nothing_share_what_their_address_may_ask() -> None:
    throttle = Throttle(Now())
    assert sum(throttle.charge("app", "a", Shows.NOTHING) == 0 for _ in range(500)) == UNPROVEN.failures
    assert throttle.charge("app", "b", Shows.NOTHING) == 0


def test_who_got_in_is_remembered_within_bounds() -> None:
    throttle = Throttle(Now(), keys_max=100)
    for number in range(10_000):
        throttle.succeeded(f"client{number}", "a")
    assert len(throttle) <= 100
