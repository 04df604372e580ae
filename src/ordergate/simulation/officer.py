"""A risk officer: tightens limits at once, loosens them with a second person, and stops a part of trading.

In some worlds only. What is set, and when, is drawn from the seed; at the heal everything is taken back.
Judges nothing, and knows of the gateway what it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.ids import AccountId
from ordergate.core.orders.events import Severity
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Reach, Rule
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.limits.desk import Edited
from ordergate.engine.limits.override_desk import Asked
from ordergate.engine.node import Node
from ordergate.simulation.clients import Client, NoAnswer, of_the_house
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.governance import HARD_TO_BORROW, RESTRICTED
from ordergate.simulation.ground import START, Ground
from ordergate.simulation.listing import ES, INSTRUMENTS, SPY
from ordergate.simulation.trader import STRATEGY, Trader
from ordergate.simulation.witness import Answered

_PAUSE_S: Final = 2.0
_AGAIN_S: Final = 0.7
_APPROVED: Final = 0.6  # of what loosens; of the rest half is tried alone, and half left waiting
_ALONE: Final = 0.8
_WHO: Final = "officer"
_STOPS: Final = 0.3
_OVERRIDDEN: Final = 0.2
_OVERRIDE_LIVES_S: Final = 6
_LARGE: Final = Decimal(8)
_SOFT: Final = 0.7
_MAY_BE_SOFT: Final = {"position": "R11", "gross": "R12", "canary": "R27", "drift": "R09", "net": "R12"}
_STOPPED_S: Final = (1.0, 4.0)
_STOPPED: Final = ((Level.INSTRUMENT, SPY), (Level.INSTRUMENT, ES), (Level.STRATEGY, STRATEGY))
_GRADES: Final = (Grade.REDUCE_ONLY, Grade.BLOCK_NEW, Grade.CANCEL_ALL)


def _listed(why: str) -> Mapping[str, Any]:
    as_of = (START - timedelta(hours=6)).isoformat()
    return {"restricted": {"as_of": as_of, "source": "drill", "max_age_hours": 48, "symbols": {SPY: why}}}


# Four lots of the future fit, and five do not. No quote of a run is as narrow as the spread that is allowed.
MENU: Final[Mapping[str, Mapping[str, Any]]] = {
    "position": {"instruments": {symbol: {"max_long": "3", "max_short": "3"} for symbol in INSTRUMENTS}},
    "open": {"max_open_orders": 4},
    "gross": {"max_gross_exposure": "1080000"},
    "net": {"max_net_exposure": "1080000"},
    "concentration": {"instruments": {ES: {"max_concentration_percent": "10.5"}}},
    "self-match": {"self_match_refused": True},
    "sides": {"instruments": {SPY: {"sides": ["buy"]}}},
    "types": {"instruments": {ES: {"order_types": ["limit"]}}},
    "restricted": _listed(RESTRICTED),
    "borrow": _listed(HARD_TO_BORROW),
    "messages": {"message_windows": [[3, 6]]},
    "duplicate": {"duplicate_window_s": "20"},
    "drift": {
        "drift_window_s": "10",
        "instruments": {symbol: {"drift_percent": "0.02"} for symbol in INSTRUMENTS},
    },
    "spread": {"instruments": {symbol: {"market_spread_percent": "0.003"} for symbol in INSTRUMENTS}},
    "canary": {"canary": {"days": 1, "percent": "10"}},
    "identity": {"identity_required": True},
    "losses": {"losses": {"max_daily_loss": "300"}, "trading_day": {"zone": "UTC", "ends_at": "00:00"}},
}
_OFTEN: Final = (*sorted(MENU), "losses", "losses")
"""A loss needs a position and time: its limit is set more often."""


class Officer:
    def __init__(
        self,
        ground: Ground,
        accounts: Sequence[AccountId],
        serving: Callable[[], Gateway | None],
        traders: Sequence[Trader],
    ) -> None:
        self._ground = ground
        self._accounts = accounts
        self._traders = traders
        self._chance = ground.chance("officer")
        self._wishes = ground.chance("overrides")
        self._client = Client(ground, _WHO, accounts[0], serving)
        self._client.principal = self._person(_WHO)
        self._second = self._person("second")
        self._done = 0

    def _person(self, name: str) -> Principal:
        known = of_the_house(self._client.principal)
        return msgspec.structs.replace(
            known, subject=name, client_id=f"{name} desk", token_id=name, accounts=frozenset(self._accounts)
        )

    def _logged_in(self, who: Principal) -> Principal:
        """The same, who has logged in a moment ago: what loosens asks for it."""
        return msgspec.structs.replace(who, auth_time=int(self._ground.now().timestamp()))

    async def work(self) -> None:
        """Change something now and then, until the heal."""
        while self._ground.plan.setting.governed:
            await asyncio.sleep(self._chance.expovariate(1 / _PAUSE_S))
            if self._ground.weather.healed:
                return
            with suppress(NoAnswer):
                if self._chance.random() < _STOPS:
                    await self._stop()
                elif self._wishes.random() < _OVERRIDDEN:
                    await self._override(self._wishes.choice(self._traders))
                else:
                    account, what = self._chance.choice(self._accounts), self._chance.choice(_OFTEN)
                    await self._change(f"{_WHO}:{account}:{what}", account, MENU[what])

    async def _stop(self) -> None:
        """A narrow stop, for a moment; the second person releases it, or the heal does."""
        level, target = self._chance.choice(_STOPPED)
        await self._client.engage(level, target, self._chance.choice(_GRADES))
        await asyncio.sleep(self._chance.uniform(*_STOPPED_S))
        await self._client.once(
            lambda gate: gate.release_kill(
                self._second, reason="drill", correlation=_WHO, level=level, target=target
            )
        )

    async def _override(self, trader: Trader) -> None:
        """One order is to pass what would refuse it, once: its application asks, the second person grants.

        It comes as it was granted, and a second time; or another one comes, or it comes too late.
        """
        who = self._logged_in(trader.client.principal)
        terms = msgspec.structs.replace(trader.terms(), quantity=_LARGE, client_order_id=None)
        asked = Asked(
            accounts=(trader.client.account,),
            terms=terms,
            controls=tuple(sorted(set(_MAY_BE_SOFT.values()))),
            lives_s=_OVERRIDE_LIVES_S,
        )
        self._done += 1
        correlation = f"{_WHO}-{self._done}"
        asked_s = self._ground.loop.time()
        change = await self._client.once_of(
            lambda node: node.limits.ask_override(who, asked, reason="drill", correlation=correlation)
        )
        self._tell("limits", change, "override", asked_s, correlation)
        if isinstance(change, Refusal):
            return
        dice = self._wishes.random()
        await self._approve(change.id, self._second if dice < _ALONE else who, "override")
        if dice < _APPROVED:
            await asyncio.gather(trader.place_as(terms), trader.place_as(terms))
        else:
            await asyncio.sleep(_OVERRIDE_LIVES_S * dice)
            more = int(dice * 10) % 2
            await trader.place_as(msgspec.structs.replace(terms, quantity=terms.quantity + more))

    async def lift(self) -> None:
        """Take back everything, until that is so."""
        while self._ground.plan.setting.governed:
            try:
                left = await self._standing()
                if not left:
                    return
                for rule in left:
                    await self._loosen(rule, 0.0)
            except NoAnswer:
                pass
            await asyncio.sleep(_AGAIN_S)

    async def _standing(self) -> list[Rule]:
        who = self._client.principal

        async def ask(node: Node) -> list[Rule] | None:
            known = node.limits.rules(who) if node.limits.is_known else None
            return None if known is None else [one for one in known if one.id.startswith(_WHO)]

        found = await self._client.once_of(ask)
        if found is None:
            raise NoAnswer("the limits have not been read")
        return found

    async def _change(self, rule_id: str, account: AccountId, limits: Mapping[str, Any]) -> None:
        standing = next((one for one in await self._standing() if one.id == rule_id), None)
        if standing is not None:
            await self._loosen(standing, self._chance.random())
            return
        soft = rule_id.rpartition(":")[2] in _MAY_BE_SOFT and self._wishes.random() < _SOFT
        rule = Rule(
            id=rule_id,
            scope=Reach.ACCOUNT,
            of=account,
            limits=dict(limits),
            severity=Severity.SOFT if soft else Severity.HARD,
            owner=_WHO,
        )
        await self._edit(Edit(rule_id, 0, rule))

    async def _loosen(self, rule: Rule, dice: float) -> None:
        """Taking a limit away waits for another person: that comes, or somebody tries to do without."""
        edited = await self._edit(Edit(rule.id, rule.version))
        if edited is None or edited.change is None:
            return
        if dice < _APPROVED:
            await self._approve(edited.change.id, self._second, rule.id)
        elif dice < _ALONE:
            await self._approve(edited.change.id, self._client.principal, rule.id)

    async def _edit(self, edit: Edit) -> Edited | None:
        who, asked_s = self._logged_in(self._client.principal), self._ground.loop.time()
        self._done += 1
        correlation = f"{_WHO}-{self._done}"
        reply = await self._client.once_of(
            lambda node: node.limits.edit(who, [edit], reason="drill", correlation=correlation)
        )
        self._tell("limits", reply, edit.rule_id, asked_s, correlation)
        return None if isinstance(reply, Refusal) else reply

    async def _approve(self, change: str, who: Principal, rule_id: str) -> None:
        asked_s, fresh = self._ground.loop.time(), self._logged_in(who)
        reply = await self._client.once_of(
            lambda node: node.limits.approve(fresh, change, reason="drill", correlation=change)
        )
        verb = "limits" if who is self._second else "limits-alone"
        self._tell(verb, reply, rule_id, asked_s, change)

    def _tell(self, verb: str, reply: object, about: str, asked_s: float, correlation: str) -> None:
        refused = reply.code if isinstance(reply, Refusal) else ""
        if refused in (Code.NOT_READY, Code.UNAVAILABLE):
            raise NoAnswer(refused)
        self._ground.witness.answered(
            Answered(
                account=self._accounts[0],
                client=_WHO,
                verb=verb,
                key=correlation,
                order="",
                refused=refused,
                asked_s=asked_s,
                about=about,
            )
        )
