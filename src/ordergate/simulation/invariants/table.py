"""Every invariant of the reliability page: what checks it here, or why nothing does."""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.simulation.invariants import (
    before_sending,
    causality,
    clients,
    conduct,
    controls,
    doubled,
    doubts,
    groups,
    histories,
    journal,
    kills,
    records,
    steps,
    streams,
    venue,
)
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight


class Invariant(msgspec.Struct, frozen=True):
    """`checkers` are brought to every run; `elsewhere` says what else proves it, or why nothing here can."""

    id: str
    what: str
    checkers: tuple[type[SightedChecker], ...] = ()
    elsewhere: str = ""


_OF_PRINCIPALS: Final = "principals are given: tests/security, tests/api"
_OF_ENVIRONMENTS: Final = "a run has one environment, so nothing can cross here: tests/isolation"
_BY_FOLLOWERS: Final = "every frame is checked by the stream clients of the run, as they hear it"

_OF_LIMITS: Final = (
    journal.WithinLimits,
    controls.WithinControls,
    conduct.WithinConduct,
    conduct.OverriddenOnce,
)
_OF_PARITY: Final = (
    before_sending.NoMoreThanApproved,
    venue.Children,
    groups.OneLegAtATime,
    groups.NoMoreThanEntered,
)

INVARIANTS: Final = (
    Invariant("I1", "intent before send", (before_sending.IntentBeforeSend,)),
    Invariant("I2", "risk before send", (before_sending.RiskBeforeSend,)),
    Invariant("I3", "at most one order per intent", (venue.AtMostOne, doubled.DoublesTold)),
    Invariant("I4", "one order per key", (clients.OneOrderPerKey,)),
    Invariant("I5", "what was answered is durable", (clients.AnsweredIsDurable,)),
    Invariant("I6", "no guess", (journal.NoGuess, doubts.Alarmed)),
    Invariant("I7", "legal transitions", (steps.LegalSteps,)),
    Invariant("I8", "quantities", (journal.Quantities,)),
    Invariant("I9", "every execution once", (journal.ExecutionsOnce, journal.ExecutionsNotTwice)),
    Invariant("I10", "no more than was approved", _OF_PARITY),
    Invariant("I11", "limits", _OF_LIMITS),
    Invariant("I12", "environment", elsewhere=_OF_ENVIRONMENTS),
    Invariant("I13", "a stream without gaps", (streams.StreamsWhole,), elsewhere=_BY_FOLLOWERS),
    Invariant("I14", "causality", (causality.ReadsWhatWasHeard,), elsewhere=_BY_FOLLOWERS),
    Invariant("I15", "the client's view is the server's state", (streams.ViewsEqual,), _BY_FOLLOWERS),
    Invariant("I16", "fencing", (before_sending.Fenced,)),
    Invariant("I17", "kill", (kills.Killed, kills.DeadMen)),
    Invariant("I18", "tenants apart", (clients.TenantsApart,)),
    Invariant("I19", "audit", (journal.Proven, records.RecordedOnce, records.SignedFor)),
    Invariant("I20", "secrets", elsewhere="no secret enters a run: tests/telemetry, tests/security"),
    Invariant("I21", "bounded", (clients.Bounded,)),
    Invariant("I22", "authorisation", (controls.TwoPersons,), elsewhere=_OF_PRINCIPALS),
    Invariant("I23", "convergence", (venue.Convergence, groups.GroupsSettled)),
    Invariant("I24", "liveness", (clients.Liveness,)),
    Invariant("I25", "linearizability", (histories.Linearizable,)),
    Invariant("I26", "determinism", elsewhere="the trace's hash: tests/simulation"),
)


def checkers_of(sight: Sight) -> list[SightedChecker]:
    say = sight.ground.witness.say
    return [checker(sight, say) for invariant in INVARIANTS for checker in invariant.checkers]
