"""Mistakes with what is durable: commits misread, ownership not checked, memory trusted."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_WRITER: Final = "journal/writer.py"
_STORE: Final = "journal/memory_store.py"
_LANE: Final = "engine/accounts/lane.py"
_TAILS: Final = "journal/tails.py"
_KILL: Final = "engine/stopping/kill_switch.py"

MUTATIONS: Final = (
    Mutation(
        id="lost-commit-believed",
        p0=True,
        what="a commit whose answer was lost counts as done",
        file=_WRITER,
        find="        if written:\n            await self._until_replicated",
        put="        if written is not None:\n            await self._until_replicated",
    ),
    Mutation(
        id="refused-commit-believed",
        p0=True,
        what="a statement that the database refused counts as written",
        file=_WRITER,
        find="        except Refused as refused:\n            self._doubt = []\n            await self._refused(session, batch, refused)",
        put="        except Refused:\n            self._succeed(0.0)",
    ),
    Mutation(
        id="memory-kept-after-a-failed-commit",
        p0=True,
        what="after a failed commit the account goes on with what it had in memory",
        file=_LANE,
        find="        self.books, self._head, self.epoch = folded.books, taken.head, taken.epoch\n",
        put=(
            "        self.books = folded.books if self.books.account is None else self.books\n"
            "        self._head, self.epoch = taken.head, taken.epoch\n"
        ),
    ),
    Mutation(
        id="recovery-reads-half",
        p0=True,
        what="recovery folds all events but the last",
        file="engine/accounts/recovery.py",
        find="after=min(begun.since, told), upto=head):",
        put="after=min(begun.since, told), upto=max(head - 1, 0)):",
    ),
    Mutation(
        id="head-not-advanced",
        what="the next unit is numbered like the last one",
        file=_LANE,
        find="        self._head += len(unit.entries)",
        put="        self._head += 0 * len(unit.entries)",
    ),
    Mutation(
        id="numbers-counted-outside-the-unit",
        p0=True,
        what="events are numbered by a count that a failed commit does not take back",
        file=_LANE,
        find="self._told if self._told >= 0 else taken.head\n",
        put=(
            "self._told if self._told >= 0 else taken.head\n"
            "        taken = msgspec.structs.replace(taken, head=max(self._head, taken.head))\n"
        ),
    ),
    Mutation(
        id="epoch-not-learnt",
        what="the account is taken and written under the epoch before",
        file=_LANE,
        find="self.books, self._head, self.epoch = folded.books, taken.head, taken.epoch",
        put="self.books, self._head, self.epoch = folded.books, taken.head, max(self.epoch, 1)",
    ),
    Mutation(
        id="epoch-not-raised-at-take",
        p0=True,
        what="whoever takes an account gets the epoch of the one before",
        file=_STORE,
        find="        books.epoch += 1\n",
        put="        books.epoch = 1\n",
    ),
    Mutation(
        id="old-owner-writes",
        p0=True,
        what="the database takes units of an owner that has lost the account",
        file=_STORE,
        find="        if unit.epoch != books.epoch:\n",
        put="        if unit.epoch > books.epoch:\n",
    ),
    Mutation(
        id="lane-never-recovers",
        what="an account whose commit failed is not taken again",
        file=_LANE,
        find="        self.stopped.set()\n",
        put="        self.stopped.clear()\n",
    ),
    Mutation(
        id="behind-a-failed-unit",
        what="units linked behind one that failed are written in another order",
        file=_WRITER,
        find="self._parts.extendleft(reversed(split(batch)))",
        put="self._parts.extendleft(split(batch))",
    ),
    Mutation(
        id="lost-batch-dropped",
        p0=True,
        what="a batch that was not written when its connection was lost is forgotten",
        file=_WRITER,
        find="        batch, self._doubt = self._doubt, []\n        if self._may_try_again(batch):\n            self._parts.appendleft(batch)\n            return",
        put="        batch, self._doubt = self._doubt, []\n        if self._may_try_again(batch):\n            return",
    ),
    Mutation(
        id="chain-broken",
        what="an event is not sealed to the unit before it",
        file=_TAILS,
        find="    tail.head, tail.last_hash = head, last_hash\n",
        put="    tail.head = head\n",
    ),
    Mutation(
        id="kill-forgotten-at-restart",
        p0=True,
        what="a gateway that starts anew does not know that the kill switch is engaged",
        file=_KILL,
        find="                state = evolve(state, stored.event)\n",
        put="                evolve(state, stored.event)\n",
    ),
    Mutation(
        id="kill-released-before-durable",
        p0=True,
        what="a release is in force before it is durable",
        file=_KILL,
        find="            await self._append_surely(event, correlation, unless=overtaken)\n",
        put=(
            "            self._state = TradingState()\n"
            "            await self._append_surely(event, correlation)\n"
        ),
    ),
    Mutation(
        id="kill-not-written",
        p0=True,
        what="an engagement is in force on this node, and nowhere written down",
        file=_KILL,
        find="        await self._write(event, correlation)\n        self._was_written(event)\n\n    def hold",
        put="        self._was_written(event)\n\n    def hold",
    ),
    Mutation(
        id="stop-recorded-twice",
        p0=False,
        what="an engagement is written down a second time",
        file=_KILL,
        find="        await self._write(event, correlation)\n        self._was_written(event)\n\n    def hold",
        put=(
            "        await self._write(event, correlation)\n        await self._write(event, correlation)\n"
            "        self._was_written(event)\n\n    def hold"
        ),
    ),
    Mutation(
        id="checkpoint-without-the-latest",
        p0=False,
        what="a checkpoint leaves the last record of each account out",
        file="audit/checkpointer.py",
        find="            for seal in seals:\n                tree.add(seal)",
        put="            for seal in seals[:-1]:\n                tree.add(seal)",
    ),
)
