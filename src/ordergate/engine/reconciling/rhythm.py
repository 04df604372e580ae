"""When the reconciler asks, and how long it lets things settle."""

from __future__ import annotations

import msgspec


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds.

    An unanswered question is asked about every `suspicion_s`; all else every `interval_s`, and every
    `look_again_s` while something differs. `unanswered_s_min` is how long an answer may take before
    its lack is suspicious, `unshown_s` how long the stream may take to show an acknowledged order,
    `untold_s` to tell an execution that was read elsewhere. A run waits `reread_in_run_s` at most for
    the whole list of executions; beside the runs it may take `reread_timeout_s`.
    """

    interval_s: float = 60.0
    suspicion_s: float = 1.0
    unanswered_s_min: float = 2.0
    unshown_s: float = 5.0
    untold_s: float = 10.0
    look_again_s: float = 5.0
    settle_s: float = 30.0
    resend_s_max: float = 60.0
    recheck_s: float = 1.0
    run_timeout_s: float = 120.0
    reread_in_run_s: float = 30.0
    reread_timeout_s: float = 1800.0
    finds_per_run_max: int = 50

    def __post_init__(self) -> None:
        if self.suspicion_s <= 0 or self.interval_s < self.suspicion_s:
            raise ValueError("interval_s must be at least suspicion_s, and both positive")
        if self.look_again_s <= 0 or self.unshown_s <= 0 or self.untold_s <= 0:
            raise ValueError("look_again_s, unshown_s and untold_s must be positive")
