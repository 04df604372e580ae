"""Worlds whose market closes every few seconds: what is kept leaves once, whatever goes wrong."""

from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from tests.dose import dose

SEEDS = dose(8, 1_000)


def test_no_world_with_sessions_violates_anything_and_orders_are_kept_and_released() -> None:
    kept = released = 0
    for seed in range(1, SEEDS + 1):
        result = run(draw(seed, sessions=True), keep_trace=True)
        assert result.violations == (), seed
        held = {line.split()[5] for line in result.trace if " order_held " in line}
        accepted = {line.split()[5] for line in result.trace if " order_accepted " in line}
        kept += len(held)
        released += len(held & accepted)
    assert kept >= SEEDS
    assert 0 < released <= kept


def test_sessions_leave_a_world_without_them_as_it_was() -> None:
    plain, with_sessions = draw(7), draw(7, sessions=True)
    assert plain.strikes == with_sessions.strikes
    assert not plain.setting.sessions
