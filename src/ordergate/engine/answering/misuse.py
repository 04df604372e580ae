"""Of a key that the journal itself refused: what it had bought before, and where.

Nobody looks into the keys of accounts that are not the client's, so one that was used on an account it has
lost since is found by the journal alone. The lane is folded again for that once, and knows the key after it.
"""

from __future__ import annotations

from ordergate.core.faults import KeyTaken
from ordergate.core.idempotency import judge
from ordergate.core.refusals import Refusal
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.answering.envelopes import Request


async def misused(lane: Lane, request: Request, fault: BaseException | None) -> Refusal | None:
    """Why the commit failed with this fault: the key was used for something else; None of any other."""
    if not isinstance(fault, KeyTaken):
        return None
    stored = await lane.bought(request.scope)
    known = None if stored is None else judge(stored, request.fingerprint)
    return known if isinstance(known, Refusal) else None
