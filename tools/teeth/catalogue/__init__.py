"""Every planted mistake, by the part that it is planted in."""

from __future__ import annotations

from typing import Final

from tools.teeth.catalogue import (
    accounts,
    controls,
    doubled,
    durability,
    executions,
    groups,
    outcomes,
    reads,
    requests,
    risk,
    sending,
    streams,
)
from tools.teeth.catalogue.equivalents import EQUIVALENTS
from tools.teeth.mutation import Mutation

MUTATIONS: Final[tuple[Mutation, ...]] = (
    *sending.MUTATIONS,
    *outcomes.MUTATIONS,
    *executions.MUTATIONS,
    *doubled.MUTATIONS,
    *durability.MUTATIONS,
    *requests.MUTATIONS,
    *reads.MUTATIONS,
    *risk.MUTATIONS,
    *controls.MUTATIONS,
    *groups.MUTATIONS,
    *accounts.MUTATIONS,
    *streams.MUTATIONS,
)

__all__ = ["EQUIVALENTS", "MUTATIONS"]
