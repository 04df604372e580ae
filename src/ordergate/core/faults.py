"""Broken promises.

A fault is a defect of ours, or of the ground we stand on, never a user's mistake: those are
refusals (`core.refusals`). Whoever catches a fault stops the part of the system it happened
in; nobody maps one to a default.
"""

from __future__ import annotations


class Fault(Exception):
    """The base of every fault."""


class IllegalTransition(Fault):
    """An event arrived for which the lifecycle table has no row."""


class InvariantBroken(Fault):
    """A sum that must hold did not."""


class Unfoldable(Fault):
    """An event, or news, that the books can never take in; trying again would change nothing."""


class JournalCorrupt(Fault):
    """The hash chain does not hold, or a stored event cannot be read."""


class StaleEpoch(Fault):
    """Another owner has taken the account; this one must stop speaking for it."""


class AppendConflict(Fault):
    """The account's stream has moved past the expected sequence; nothing was written."""


class JournalUnavailable(Fault):
    """The journal cannot be reached; nothing is known to have been written."""


class KeyTaken(Fault):
    """An idempotency key of the unit is already stored; nothing of the unit was written."""
