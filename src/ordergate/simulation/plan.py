"""What will go wrong in one run, written down before it begins.

The rates themselves are drawn per seed: one run is nearly calm, another has forty deaths. The plan is a
list, so that it can be printed, replayed, and cut down to what a failure needs.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from ordergate.ports.broker import DedupClass
from ordergate.simulation.catalogue import BY_ID, WITH_SUBJECT

STRIKES_MAX: Final = 12
NEWS_LAGS_S: Final = (0.0, 0.0, 0.3, 1.5)
"""How much later than an answer the stream's news comes; in half of the worlds it is as fast."""
NAMELESS: Final = 0.12
GOVERNED: Final = 0.35
"""How many worlds have a risk officer, who changes limits while they run."""
GROUPED: Final = 0.3
"""In how many worlds orders belong together: brackets, trailing stops, and what is closed at once."""
WATCHED: Final = 0.25
"""In how many worlds trading stops by itself, after errors, losses and silence, and a client may go away."""
LIKELY: Final[Mapping[str, float]] = {"B13": 0.9}
"""How likely a world has a fault for which there is seldom an occasion, however rough it is."""
_NUMBERED_LAST: Final = frozenset({"B24", "B25", "D3"})
"""A strike's number decides some of its details: these leave those of the others as they were before."""
DEATHS: Final = tuple(fault for fault in WITH_SUBJECT if fault.startswith("C"))


class Strike(msgspec.Struct, frozen=True):
    """One fault to come: armed at `at` seconds. `dose`, from 0 to 1, decides its details.

    With `lasts` it is a spell that begins then; without, it waits for the first thing it can befall.
    """

    number: int
    fault: str
    at: float
    lasts: float
    dose: float
    account: int


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is like apart from its faults."""

    dedup: DedupClass
    resend_is_safe: bool
    visibility_lag_s: float
    broker_latency_s: float
    news_lag_s: float
    commit_latency_s: float
    trading_s: float
    orders: int
    tight_limits: bool
    governed: bool
    grouped: bool = False
    watched: bool = False
    sessions: bool = False
    volatility: float
    roughness: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    setting: Setting
    strikes: tuple[Strike, ...]

    def only(self, strikes: Collection[Strike]) -> Plan:
        """The same run with some of its faults."""
        kept = tuple(strike for strike in self.strikes if strike in strikes)
        return Plan(seed=self.seed, setting=self.setting, strikes=kept)


def draw(seed: int, allowed: Collection[str] = WITH_SUBJECT, *, sessions: bool = False) -> Plan:
    """The plan of a seed. Leaving faults out leaves the others as they are, and so do sessions."""
    lag_s = random.Random(f"{seed} news").choice(NEWS_LAGS_S)
    governed = random.Random(f"{seed} governed").random() < GOVERNED
    drawn = _setting(random.Random(f"{seed} setting"))
    grouped = random.Random(f"{seed} grouped").random() < GROUPED
    setting = msgspec.structs.replace(
        drawn,
        news_lag_s=lag_s,
        governed=governed,
        grouped=grouped,
        watched=random.Random(f"{seed} watched").random() < WATCHED,
        sessions=sessions,
    )
    strikes: list[Strike] = []
    for fault_id in WITH_SUBJECT:
        chance = random.Random(f"{seed} {fault_id}")
        for one in _of(fault_id, chance, setting):
            if fault_id in allowed:
                strikes.append(one)
    ordered = sorted(strikes, key=lambda one: (one.fault in _NUMBERED_LAST, one.at, one.fault))
    numbered = [msgspec.structs.replace(one, number=number) for number, one in enumerate(ordered, 1)]
    return Plan(seed=seed, setting=setting, strikes=tuple(numbered))


def _setting(chance: random.Random) -> Setting:
    dedup = chance.choice((DedupClass.A, DedupClass.A, DedupClass.A, DedupClass.B))
    setting = Setting(
        dedup=dedup,
        resend_is_safe=dedup is DedupClass.A and chance.random() < 0.6,
        visibility_lag_s=chance.choice((0.0, 0.0, 1.0, 5.0)),
        broker_latency_s=chance.choice((0.002, 0.02, 0.15)),
        news_lag_s=0.0,
        commit_latency_s=chance.choice((0.001, 0.003, 0.02)),
        trading_s=chance.uniform(25.0, 60.0),
        orders=chance.randint(90, 150),
        tight_limits=chance.random() < 0.3,
        governed=False,
        volatility=chance.choice((0.5, 1.0, 3.0)),
        roughness=chance.uniform(0.05, 0.55),
    )
    if chance.random() < NAMELESS:
        return msgspec.structs.replace(setting, dedup=DedupClass.C, resend_is_safe=False)
    return setting


def _of(fault_id: str, chance: random.Random, setting: Setting) -> list[Strike]:
    """The strikes of one fault: none at all in many seeds, up to a dozen in some."""
    if chance.random() > LIKELY.get(fault_id, setting.roughness):
        return []
    often = chance.expovariate(1.0 if fault_id in DEATHS else 0.5)
    count = min(1 + int(often), STRIKES_MAX)
    spell = BY_ID[fault_id].spell_s
    return [
        Strike(
            number=0,
            fault=fault_id,
            at=round(chance.uniform(1.0, setting.trading_s), 3),
            lasts=0.0 if spell is None else round(chance.uniform(*spell), 3),
            dose=round(chance.random(), 4),
            account=chance.randrange(2),
        )
        for _ in range(count)
    ]
