"""Answers to what changes nothing: what risk would say, and what keeps a node from serving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ordergate.core.refusals import Refusal
from ordergate.core.risk.judge import Verdict
from ordergate.core.risk.utilization import Use
from ordergate.engine.accounts.lanes import Lanes
from ordergate.engine.answering.answers import ControlResult, Preview, RefusalView
from ordergate.engine.desks.control_stream import UNREAD
from ordergate.engine.limits.desk import LimitsDesk
from ordergate.engine.stopping.kill_switch import KillSwitch


def preview_of(
    verdicts: Iterable[Verdict], limits: Sequence[Use] = (), found: Iterable[Refusal] = ()
) -> Preview:
    """Every control's verdict, with the numbers of those that failed, and what is used of the limits.

    `found` is every no besides risk's.
    """
    controls = tuple(_result(verdict) for verdict in verdicts)
    refusals = tuple(RefusalView(code=no.code.value, detail=no.detail) for no in found)
    accepted = not refusals and all(one.passed or one.shadow for one in controls)
    return Preview(would_be_accepted=accepted, controls=controls, limits=tuple(limits), refusals=refusals)


def reasons_not_ready(
    lanes: Lanes, kill_switch: KillSwitch, limits: LimitsDesk, down: Mapping[str, str]
) -> dict[str, str]:
    """By part; empty when the node is ready."""
    reasons = dict(down)
    for seat in lanes:
        part = f"account {seat.lane.account}"
        if (trouble := seat.trouble) is not None:
            reasons[part] = trouble
        elif not seat.stream_up:
            reasons[part] = seat.as_the_broker_says("the broker's stream is down")
        elif not seat.synced:
            reasons[part] = seat.as_the_broker_says("not reconciled with the broker yet")
    if (deaf := kill_switch.deaf) is not None:
        reasons["kill-switch"] = deaf
    if not limits.is_known:
        reasons["limits"] = UNREAD
    return reasons


def _result(verdict: Verdict) -> ControlResult:
    failed = verdict.failed
    if failed is None:
        return ControlResult(control=verdict.control.id, passed=True, shadow=verdict.shadow)
    return ControlResult(
        control=verdict.control.id,
        passed=False,
        reason=failed.reason,
        detail=failed.detail,
        limit=failed.limit,
        value=failed.value,
        headroom=failed.headroom,
        inputs=failed.inputs,
        severity=failed.severity,
        shadow=verdict.shadow,
    )
