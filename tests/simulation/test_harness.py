"""The simulation itself: it repeats to the byte, is silent without faults, and shouts when it should."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ordergate.simulation.catalogue import WITH_SUBJECT
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.invariants import before_sending, clients, journal, streams, venue
from ordergate.simulation.minimise import minimise
from ordergate.simulation.mishaps import Mishaps
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from ordergate.simulation.witness import Answered, Checker, Sent

_SCRIPT = """
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from ordergate.telemetry import log
log.configure("critical")
print([run(draw(seed)).digest for seed in range(1, 9)])
"""


def _digests(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    return done.stdout


@pytest.mark.timeout(600)
def test_a_seed_gives_the_same_run_whatever_the_hash_seed() -> None:
    assert _digests("1") == _digests("4242")


def test_without_faults_none_are_counted_and_nothing_is_violated() -> None:
    for seed in range(1, 6):
        result = run(draw(seed, ()))
        assert (result.hits, result.violations) == ({}, ())
        assert result.orders > 50


def test_leaving_faults_out_leaves_the_others_as_they_are() -> None:
    whole, some = draw(5), draw(5, ("B1", "C3"))
    kept = [one for one in whole.strikes if one.fault in ("B1", "C3")]
    assert [(one.at, one.dose) for one in some.strikes] == [(one.at, one.dose) for one in kept]


def test_rates_differ_from_seed_to_seed() -> None:
    counts = {len(draw(seed).strikes) for seed in range(200)}
    assert min(counts) < 10
    assert max(counts) > 60


def _always(checker: Checker, fact: object) -> None:
    checker.violated("inverted")


@pytest.mark.parametrize(
    ("checker", "hook"),
    [
        (before_sending.IntentBeforeSend, "sent"),
        (clients.AnsweredIsDurable, "answered"),
        (venue.AtMostOne, "ended"),
        (journal.Proven, "ended"),
        (streams.StreamsWhole, "ended"),
    ],
)
def test_an_inverted_invariant_fails_the_run(
    checker: type[Checker], hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inverted(self: Checker, fact: Sent | Answered | None = None) -> None:
        _always(self, fact)

    monkeypatch.setattr(checker, hook, inverted)
    assert {one.invariant for one in run(draw(1, ())).violations} == {checker.id}


def test_a_failing_plan_is_cut_down_to_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted failure that one fault alone brings about."""
    dies = Gateway.die

    def died(gateway: Gateway, fault: str, what: str) -> None:
        dies(gateway, fault, what)
        if fault == "C5":
            gateway._ground.witness.say("I1", "planted")

    monkeypatch.setattr(Gateway, "die", died)
    planned = next(
        plan for plan in map(draw, range(100)) if any(one.invariant == "I1" for one in run(plan).violations)
    )
    needed = minimise(planned, "I1")
    assert [one.fault for one in needed.strikes] == ["C5"]
    assert run(needed).violations


def test_every_fault_with_a_subject_is_planned_often_enough() -> None:
    planned = [one.fault for seed in range(400) for one in draw(seed).strikes]
    assert {fault for fault in WITH_SUBJECT if planned.count(fault) < 50} == set()


def test_when_neither_of_two_gateways_has_the_fence_another_is_started() -> None:
    """The server may hold the fence for one that has died: then nobody lives on it."""
    withdrawn: list[str] = []
    later: list[object] = []
    living = [SimpleNamespace(alive=True, withdraw=lambda name=name: withdrawn.append(name)) for name in "ab"]
    town = SimpleNamespace(
        gateways=living,
        server=SimpleNamespace(holder=SimpleNamespace(process="one that has died")),
        start_gateway="start",
    )
    mishaps = Mishaps.__new__(Mishaps)
    ground = SimpleNamespace(later=lambda _, what: later.append(what))
    mishaps._town, mishaps._ground = cast("Any", town), cast("Any", ground)

    mishaps._stop(cast("Any", living[0]))

    assert (withdrawn, later) == (["a", "b"], ["start"])
