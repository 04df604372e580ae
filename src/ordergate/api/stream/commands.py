"""Carries a command of the stream to the gate and turns its answer into a frame.

The same gate, the same keys and the same problems as REST: only the envelope differs.
"""

from __future__ import annotations

from ordergate.api import problems
from ordergate.api.deps import Deps, GateLike, GroupsLike
from ordergate.api.stream import frames
from ordergate.api.stream.actions import CancelAsked, CancelGroupAsked, Command, ReplaceAsked, Send
from ordergate.core.access import Principal
from ordergate.core.contingent.terms import GroupTerms
from ordergate.core.faults import JournalUnavailable
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer, GroupAnswer
from ordergate.telemetry.log import logger

log = logger("stream")

_NO_DATABASE = Refusal(Code.UNAVAILABLE, "the database cannot be asked now; try again with the same key")
_DEFECT = Refusal(
    Code.INTERNAL, "a defect of the gateway; whether the command took effect, its idempotency key will tell"
)


async def answer_to(deps: Deps, principal: Principal, command: Command) -> Send:
    """Never cancelled: the command may be durable already when its client goes away."""
    try:
        asked = command.asked
        if isinstance(asked, GroupTerms | CancelGroupAsked):
            return told(command, await _asked_of_group(deps.groups, principal, command, asked))
        return told(command, await _asked(deps.gate, principal, command, asked))
    except JournalUnavailable as fault:
        log.warning("stream.unavailable", why=str(fault))
        return told(command, _NO_DATABASE)


def told(command: Command, answer: Answer | GroupAnswer | Refusal) -> Send:
    """The gate's answer as a frame."""
    if isinstance(answer, Refusal):
        problem = problems.problem(answer, command.correlation)
        return Send(frames.answer_problem(command.frame_id, problem), answer.code)
    if answer.failed:
        if isinstance(answer, GroupAnswer):
            denial = problems.group_denial(answer.failed, answer.group_id, answer.body, command.correlation)
        else:
            denial = problems.denial(answer.failed, answer.order_id, answer.body, command.correlation)
        return Send(frames.answer_problem(command.frame_id, denial, answer.replayed), Code.RISK_DENIED)
    status = 201 if isinstance(command.asked, Terms | GroupTerms) else 202
    if isinstance(answer, GroupAnswer):
        return Send(frames.answer_of_group(command.frame_id, status, answer.body, answer.replayed))
    return Send(frames.answer(command.frame_id, status, answer.body, answer.replayed))


def answer_to_defect(command: Command) -> Send:
    problem = problems.problem(_DEFECT, command.correlation)
    return Send(frames.answer_problem(command.frame_id, problem), _DEFECT.code)


async def _asked_of_group(
    groups: GroupsLike, principal: Principal, command: Command, asked: GroupTerms | CancelGroupAsked
) -> GroupAnswer | Refusal:
    key, correlation = command.key, command.correlation
    if isinstance(asked, GroupTerms):
        return await groups.place(principal, asked, key=key, correlation=correlation)
    return await groups.cancel(principal, asked.group_id, key=key, correlation=correlation)


async def _asked(
    gate: GateLike, principal: Principal, command: Command, asked: Terms | CancelAsked | ReplaceAsked
) -> Answer | Refusal:
    match asked:
        case Terms():
            return await gate.place(
                principal, asked, key=command.key, correlation=command.correlation, wait_s=command.wait_s
            )
        case CancelAsked():
            return await gate.cancel(
                principal,
                asked.order_id,
                key=command.key,
                correlation=command.correlation,
                wait_s=command.wait_s,
                if_revision=asked.if_revision,
            )
        case ReplaceAsked():
            return await gate.replace(
                principal,
                asked.order_id,
                quantity=asked.changes.quantity,
                limit_price=asked.changes.limit_price,
                stop_price=asked.changes.stop_price,
                key=command.key,
                correlation=command.correlation,
                wait_s=command.wait_s,
                if_revision=asked.if_revision,
            )
