"""Mistakes in telling clients: too early, out of order, with silent gaps."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_LANE: Final = "engine/accounts/lane.py"
_FEED: Final = "api/stream/feed.py"
_HUB: Final = "api/stream/hub.py"

MUTATIONS: Final = (
    Mutation(
        id="told-before-commit",
        what="clients are told of events that are not durable",
        file=_LANE,
        find="        self._unwritten += 1\n        return Recorded(unit, committed)",
        put=(
            "        self._unwritten += 1\n"
            "        for entry in unit.entries:\n"
            "            self._tell(entry.seq, kind_of(entry.event), entry.frame)\n"
            "        return Recorded(unit, committed)"
        ),
    ),
    Mutation(
        id="told-in-the-wrong-order",
        what="the events of one unit are told backwards",
        file=_LANE,
        find="        for entry in unit.entries:\n            self._tell(entry.seq",
        put="        for entry in reversed(unit.entries):\n            self._tell(entry.seq",
    ),
    Mutation(
        id="recovered-events-not-told",
        what="events whose commit was learnt of at recovery are not told",
        file="engine/accounts/recovery.py",
        find="            if stored.seq > told:\n",
        put="            if stored.seq < told:\n",
    ),
    Mutation(
        id="gap-hidden",
        what="the first event after joining does not say where the client stood",
        file=_FEED,
        find="                sink.push(framed(frames.event(frame, position)))",
        put="                sink.push(framed(frames.event(frame, seq - 1)))",
    ),
    Mutation(
        id="held-back-events-lost",
        what="what happened while the past was read is not told",
        file=_FEED,
        find="        subscriber.take_held(after)\n",
        put="        subscriber.take_held(self.head)\n",
    ),
    Mutation(
        id="snapshot-without-as-of",
        what="a snapshot says the number before the one that it shows",
        file=_HUB,
        find="            as_of_seq=snapshot.seq,\n",
        put="            as_of_seq=snapshot.seq - 1,\n",
    ),
    Mutation(
        id="resume-from-anywhere",
        what="a resume from the future is granted",
        file=_HUB,
        find="        return resume.stream_id == feed.stream_id and 0 <= behind <= self._replay_events_max",
        put="        return resume.stream_id == feed.stream_id and behind <= self._replay_events_max",
    ),
    Mutation(
        id="page-skips-one",
        what="the past is told from one event further on",
        file=_HUB,
        find="after=after, upto=upto, limit=self._page_events)\n        if not rows or not is_contiguous(rows, after):",
        put=(
            "after=after, upto=upto, limit=self._page_events)\n"
            "        if len(rows) > 2:\n"
            "            rows = [rows[0], *rows[2:]]\n"
            "        if not rows:"
        ),
    ),
)
