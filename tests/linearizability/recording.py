"""Writes down what clients ask and what they are told, and holds it against the model order by order.

A command that is asked again under its key is one operation, from the first asking to the answer
that ended it; without such an answer it may have happened at any time, or never. What that answer
shows is the order as it is by then: a look of its own, which began with the last asking.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

import aiohttp
import msgspec

from tests.e2e.client import LOST, Answer, Commands, Rest
from tests.e2e.load import ASK_AGAIN
from tests.e2e.pacing import PACE
from tests.linearizability.checker import NEVER, Operation, farthest
from tests.linearizability.orders import ABSENT, Asked, OrderModel, Shown, Terms, Told, Verb, shown, terms_of

RECENT: Final = 12
READ_EVERY_S: Final = 0.01


class Command(msgspec.Struct, kw_only=True):
    """One key's command, as far as it is known."""

    verb: Verb
    terms: Terms | None
    order: str | None
    began: float
    asked_again: float | None = None
    ended: float = NEVER
    told: Told | None = None

    def operations(self) -> Iterator[Operation[Asked, Told]]:
        asked = Asked(self.verb, self.terms)
        if self.asked_again is None or self.told is None or self.told.shown is None or self.told.ended:
            yield Operation(began=self.began, ended=self.ended, asked=asked, told=self.told)
            return
        taken = msgspec.structs.replace(self.told, shown=None)
        yield Operation(began=self.began, ended=self.ended, asked=asked, told=taken)
        look = Told(True, self.told.shown)
        yield Operation(began=self.asked_again, ended=self.ended, asked=Asked(Verb.READ), told=look)


class Recording:
    """Every operation of a run. `through` stands between a client and its way.

    `dated` of False where the clock may jump: then dates do not say what is newer.
    """

    def __init__(self, *, dated: bool = True) -> None:
        self.reads = 0
        self._dated = dated
        self._commands: dict[str, Command] = {}
        self._reads: dict[str, list[Operation[Asked, Told]]] = defaultdict(list)
        self._recent: list[str] = []
        self._cancels_of_all: list[float] = []

    def through(self, way: Commands) -> Commands:
        return _Recorded(way, self)

    def cancels_all(self) -> None:
        """From now on every order may be cancelled: which ones were, is not told here."""
        self._cancels_of_all.append(time.monotonic())

    def asked(self, key: str, verb: Verb, order: str | None, terms: Terms | None) -> None:
        known = self._commands.get(key)
        if known is None:
            self._commands[key] = Command(verb=verb, terms=terms, order=order, began=time.monotonic())
        elif known.told is None:
            known.asked_again = time.monotonic()

    def told(self, key: str, answer: Answer) -> None:
        command = self._commands[key]
        if answer.status == LOST or answer.code in ASK_AGAIN or command.told is not None:
            return
        command.ended = time.monotonic()
        picture = self._shown(answer.order) if answer.order else None
        if command.verb is Verb.PLACE:
            command.order = answer.order["id"] if answer.order else None
            self._recent = [*self._recent[-RECENT:], *filter(None, (command.order,))]
        taken = answer.status in (201, 202) or picture is not None
        command.told = Told(taken, picture, ended=answer.code == "order-final")

    async def read(self, rest: Rest, seed: int) -> None:
        """Look at one recent order after the other, until cancelled."""
        chance = Random(seed)
        while True:
            if self._recent:
                await self._look(rest, chance.choice(self._recent))
            await PACE.sleep(READ_EVERY_S)

    def histories(self) -> dict[str, list[Operation[Asked, Told]]]:
        """By order. What bought no order, and what was never answered with one, is nobody's."""
        found: dict[str, list[Operation[Asked, Told]]] = defaultdict(list)
        for one in self._commands.values():
            if one.order is not None:
                found[one.order] += one.operations()
        for order, reads in self._reads.items():
            found[order] += reads
        for began in self._cancels_of_all:
            for history in found.values():
                history.append(Operation(began=began, ended=NEVER, asked=Asked(Verb.CANCEL)))
        return found

    def check(self) -> int:
        """How many orders' histories were linearizable: all, or this says which was not."""
        model = OrderModel()
        histories = self.histories()
        for order, history in histories.items():
            possible, path = farthest(history, model)
            assert possible, f"{order} is not linearizable:\n{told_in_words(history, path)}"
        return len(histories)

    def _shown(self, order: Mapping[str, Any]) -> Shown:
        picture = shown(order)
        return picture if self._dated else msgspec.structs.replace(picture, updated_at="")

    async def _look(self, rest: Rest, order: str) -> None:
        began = time.monotonic()
        answer = await read_order(rest, order)
        if answer is not None:
            self.reads += 1
            told = Told(True, ABSENT if answer == {} else self._shown(answer))
            self._reads[order].append(
                Operation(began=began, ended=time.monotonic(), asked=Asked(Verb.READ), told=told)
            )


class _Recorded:
    """A way of giving commands that is listened to."""

    def __init__(self, way: Commands, recording: Recording) -> None:
        self._way = way
        self._recording = recording

    async def place(self, order: Mapping[str, Any], *, key: str, wait_s: int = 0) -> Answer:
        self._recording.asked(key, Verb.PLACE, None, terms_of(order))
        return self._noted(key, await self._way.place(order, key=key, wait_s=wait_s))

    async def cancel(self, order_id: str, *, key: str) -> Answer:
        self._recording.asked(key, Verb.CANCEL, order_id, None)
        return self._noted(key, await self._way.cancel(order_id, key=key))

    async def replace(self, order_id: str, changes: Mapping[str, str], *, key: str) -> Answer:
        self._recording.asked(key, Verb.REPLACE, order_id, terms_of(changes))
        return self._noted(key, await self._way.replace(order_id, changes, key=key))

    def _noted(self, key: str, answer: Answer) -> Answer:
        self._recording.told(key, answer)
        return answer


async def read_order(rest: Rest, order: str) -> dict[str, Any] | None:
    """The order; {} where there is none; None where there was no answer."""
    try:
        async with (
            asyncio.timeout(10),
            rest.floor.http.get(f"{rest.floor.base_url}/v1/orders/{order}", headers=rest.headers) as answer,
        ):
            told: dict[str, Any] = await answer.json()
            return {200: told, 404: {}}.get(answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


def told_in_words(history: Sequence[Operation[Asked, Told]], path: Sequence[Operation[Asked, Told]]) -> str:
    """The history by time; what the longest order found leaves out is marked."""
    fits = {id(one) for one in path}
    lines = []
    for one in sorted(history, key=lambda one: one.began):
        mark = " " if id(one) in fits else "!"
        when = f"{one.began:.4f} to {one.ended:.4f}"
        lines.append(f"{mark} {when} {one.asked.verb} {one.asked.terms} -> {one.told}")
    return "\n".join(lines)
