"""The fault plan: seeded, counted, and the same again for the same seed and traffic."""

from hypothesis import given
from hypothesis import strategies as st

from ordergate.venue.faults import Fault, FaultPlan, RequestScope

SCOPES: st.SearchStrategy[RequestScope] = st.sampled_from(["place", "replace", "cancel", "query"])
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["delay", "timeout_before", "error_after", "truncated"]),
    scope=st.sampled_from(["place", "replace", "cancel", "query", "request"]),
    probability=st.floats(min_value=0.01, max_value=1),
    count=st.none() | st.integers(1, 5),
    skip=st.integers(0, 5),
    account=st.sampled_from([None, "alice", "bob"]),
)
TRAFFIC = st.lists(st.tuples(SCOPES, st.sampled_from(["alice", "bob"])), max_size=60)


def run(
    seed: int, faults: list[Fault], traffic: list[tuple[RequestScope, str]]
) -> tuple[FaultPlan, list[Fault | None]]:
    plan = FaultPlan(seed)
    for fault in faults:
        plan.add(fault)
    return plan, [plan.strike(scope, account) for scope, account in traffic]


@given(st.integers(), st.lists(FAULTS, max_size=5), TRAFFIC)
def test_the_same_seed_and_traffic_give_the_same_faults(
    seed: int, faults: list[Fault], traffic: list[tuple[RequestScope, str]]
) -> None:
    assert run(seed, faults, traffic)[1] == run(seed, faults, traffic)[1]


@given(st.integers(), st.lists(FAULTS, max_size=5), TRAFFIC)
def test_a_fault_never_strikes_more_than_it_may_nor_what_it_may_not(
    seed: int, faults: list[Fault], traffic: list[tuple[RequestScope, str]]
) -> None:
    plan, strikes = run(seed, faults, traffic)
    for state in plan.states():
        assert state.struck <= (len(traffic) if state.fault.count is None else state.fault.count)
        assert state.struck <= max(0, state.seen - state.fault.skip)
    for (scope, account), fault in zip(traffic, strikes, strict=True):
        if fault is not None:
            assert fault.scope in (scope, "request")
            assert fault.account in (None, account)
    assert sum(state.struck for state in plan.states()) == sum(fault is not None for fault in strikes)


def test_a_cleared_plan_with_its_seed_starts_over() -> None:
    often = Fault(kind="delay", scope="place", probability=0.5)
    plan = FaultPlan(3)
    plan.add(often)
    first = [plan.strike("place", None) is None for _ in range(50)]
    plan.clear(seed=3)
    plan.add(often)
    assert [plan.strike("place", None) is None for _ in range(50)] == first
    assert 5 < sum(first) < 45
