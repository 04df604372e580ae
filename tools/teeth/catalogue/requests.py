"""Mistakes with what clients ask for: keys, receipts, answers."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_ONCE: Final = "engine/answering/once.py"
_JUDGING: Final = "engine/commands/judging.py"
_RECEIPTS: Final = "engine/accounts/receipts.py"

MUTATIONS: Final = (
    Mutation(
        id="answer-before-commit",
        p0=True,
        what="a client is answered before its order is durable",
        file=_ONCE,
        find="        return Begun(decided, decided_at)",
        put=(
            "        at_once: asyncio.Future[None] = asyncio.get_running_loop().create_future()\n"
            "        at_once.set_result(None)\n"
            "        early = msgspec.structs.replace(decided.recorded, committed=at_once)\n"
            "        return Begun(Decided(early, decided.failed), decided_at)"
        ),
    ),
    Mutation(
        id="answer-in-spite-of-a-failed-commit",
        p0=True,
        what="a client is told yes though its commit failed",
        file=_ONCE,
        find="        if begun.committed.cancelled() or begun.committed.exception() is not None:",
        put="        if begun.committed.cancelled() or begun.committed.exception() is begun:",
    ),
    Mutation(
        id="receipt-not-kept",
        p0=True,
        what="what a key bought is not written down with the order",
        file=_JUDGING,
        find="        receipt = _receipt(request, seat, view, new_id, failed, status=201)",
        put="        receipt = None",
    ),
    Mutation(
        id="receipts-dropped-on-recovery",
        p0=True,
        what="a recovered account does not know which keys were used",
        file="engine/accounts/lane.py",
        find="        self.receipts = self.receipts.anew(await self._journal.key_digests(self.account))",
        put="        self.receipts = Receipts()",
    ),
    Mutation(
        id="used-key-decided-again",
        p0=True,
        what="a key that was used is decided about anew",
        file=_ONCE,
        find="            if known is not None:\n                return known",
        put="            if isinstance(known, Refusal):\n                return known",
    ),
    Mutation(
        id="scope-without-client",
        p0=True,
        what="a key is unique in the house, not for its client",
        file="engine/answering/envelopes.py",
        find="        scope=idempotency.Scope(env, who.tenant, who.client_id, where, asker.key),",
        put='        scope=idempotency.Scope(env, "", "", where, asker.key),',
    ),
    Mutation(
        id="fingerprint-ignored",
        p0=True,
        what="a key used for another request is answered with what it bought before",
        file="core/idempotency.py",
        find="    if receipt.fingerprint != asked:",
        put="    if not asked:",
    ),
    Mutation(
        id="key-in-flight-forgotten",
        what="a key under way is not known to be",
        file=_RECEIPTS,
        find="        self._in_flight[receipt.scope] = receipt",
        put="        self._in_flight.pop(receipt.scope, None)",
    ),
    Mutation(
        id="refusal-rests-on-nothing",
        what="a refusal is told though what it rests on is not durable",
        file=_ONCE,
        find="        async with asyncio.timeout(deadline_s):\n            await seat.lane.written()\n",
        put="        async with asyncio.timeout(deadline_s):\n            await asyncio.sleep(0)\n",
    ),
    Mutation(
        id="another-tenants-order-canceled",
        what="orders of other tenants can be canceled",
        file="engine/commands/gate.py",
        find="            for seat in self._lanes.ready_first(principal.accounts_for(scope)):\n",
        put="            for seat in self._lanes:\n",
    ),
)
