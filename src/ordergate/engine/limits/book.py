"""What the limits' control stream comes to: the rules, the changes that wait for a second person.

The fold of `engine.control_stream`. Whenever it has taken something in, the limits in force follow.
Judges nothing.
"""

from __future__ import annotations

from ordergate.core import approvals
from ordergate.core.approvals import ChangeEvent, Changes
from ordergate.core.risk import policy as policies
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.policy import LimitEvent, Policy
from ordergate.engine.limits.in_force import LimitsInForce
from ordergate.ports.journal import AnyEvent


class LimitsBook:
    """Implements `engine.control_stream.Fold`. Limits are handed out once `opened`."""

    def __init__(self, in_force: LimitsInForce) -> None:
        self.policy = Policy()
        self.changes: Changes = {}
        self.overrides: dict[str, OverrideGranted] = {}
        self.opened = False
        self._in_force = in_force

    def begin(self) -> None:
        self.policy = Policy()
        self.changes = {}
        self.overrides = {}

    def take(self, event: AnyEvent) -> None:
        match event:
            case OverrideGranted():
                kept = {name: one for name, one in self.overrides.items() if one.expires_at > event.at}
                self.overrides = {**kept, event.override_id: event}
            case LimitEvent():
                self.policy = policies.evolve(self.policy, event)
            case ChangeEvent():
                self.changes = approvals.evolve(self.changes, event)
            case _:
                return  # of a later release, or of somebody else

    def end(self) -> None:
        if self.opened:
            self._in_force.follow(self.policy, tuple(self.overrides.values()))

    def open(self) -> None:
        """What the settings say is in the rules by now: they hold."""
        self.opened = True
        self.end()
