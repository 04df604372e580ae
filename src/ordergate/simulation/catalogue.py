"""Every fault of the reliability page, and what this release can make of it.

A fault with a subject is planned, brought about and counted when its effect was seen. One without
says why: the part it would strike does not exist yet, or is struck by real processes elsewhere.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """`effect` is what must have been seen for it to count; `absent` why it has no subject here.

    `spell_s` is how long it lasts, at least and at most; None for what strikes once.
    """

    id: str
    what: str
    effect: str = ""
    absent: str = ""
    spell_s: tuple[float, float] | None = None

    @property
    def has_subject(self) -> bool:
        return not self.absent


_PROCESSES: Final = "needs real processes: tests/crash"
_NO_BUS: Final = "there is no cache and no bus; streams are read from the journal"
_PRIMARY: Final = "every question is asked of the primary"
_NO_STANDBY: Final = "without its standby an old primary answers nothing: tests/journal/test_standby.py"

FAULTS: Final[tuple[Fault, ...]] = (
    Fault("C1", "death before the intent is sent to the database", "a command's unit died in the queue"),
    Fault("C2", "death while the intent commits", "the statement was decided after the death, either way"),
    Fault("C3", "death after the commit, before the answer", "a durable command was never answered"),
    Fault("C4", "death after the answer, before anything is sent", "an answered order was not sent"),
    Fault("C5", "death before the first byte", "a call began and no byte left"),
    Fault("C6", "death after some of the bytes", "a broken call reached nobody"),
    Fault("C7", "death after the last byte, before the response", "the call arrived after the death"),
    Fault("C8", "death with the response at the door", "a response found nobody"),
    Fault("C9", "death while the outcome is recorded", "the outcome's statement was decided after the death"),
    Fault("C10", "death after recording, before clients are told", "a durable outcome was not told"),
    Fault("C11", "death right after clients were told", "clients knew more than the process did"),
    Fault("C12", "death while the reconciler writes", "its statement was decided after the death"),
    Fault("C13", "death in the middle of a cancel-all", "some cancels were sent and some were not"),
    Fault("C14", "death during key rotation", absent="signing keys are not the engine's: tests/security"),
    Fault("C15", "death during recovery, again and again", "a recovery was broken off"),
    Fault("C16", "death during migration", absent="twins have no schema: tests/journal/test_migrate.py"),
    Fault("C17", "death while taking an account", "an epoch was raised for nobody"),
    Fault("B1", "timeout, order accepted", "the venue has an order whose answer timed out"),
    Fault("B2", "timeout, order not accepted", "a call was lost on its way"),
    Fault("B3", "5xx after the order was accepted", "the venue acted and answered with an error"),
    Fault("B4", "an answer that cannot be read", "a command or a question was answered with rubbish"),
    Fault("B5", "2xx without an id", "the venue acted and its answer named nothing"),
    Fault("B6", "an order is visible only later", "a question about an existing order found nothing"),
    Fault("B7", "a fill told twice", "the same execution was delivered twice"),
    Fault("B8", "a fill told again under a new id", "an execution was told under a second id"),
    Fault("B9", "news out of order", "a later report overtook an earlier one"),
    Fault("B10", "fills missed while disconnected", "an execution happened on a cut line", spell_s=(0.5, 15)),
    Fault("B11", "a fill after the cancel was confirmed", "a canceled order filled"),
    Fault("B12", "cancel too late", "a cancel found its order gone"),
    Fault("B13", "a fill while a replace is on its way", "an order filled between replace and arrival"),
    Fault("B14", "busts and corrections", "the venue took back or changed an execution"),
    Fault("B15", "orders we did not place, of kinds we do not offer too, and over-fills",
          "the venue holds what nobody here sent"),
    Fault("B16", "the broker restarts", "its sessions were wiped", spell_s=(1, 10)),
    Fault("B17", "the stream is up and silent", "a report was swallowed without a word", spell_s=(2, 20)),
    Fault("B18", "REST lags behind the stream", "a question was answered with the past", spell_s=(1, 10)),
    Fault("B19", "429 storm", "calls were turned away", spell_s=(0.5, 8)),
    Fault("B20", "the broker's session expires", "the stream was closed and calls refused", spell_s=(1, 8)),
    Fault("B21", "the broker's clock is wrong", "reports carried a wrong time"),
    Fault("B22", "the account is another one", "the broker named another account", spell_s=(2, 15)),
    Fault("B23", "reports of holdings are stale or partial", "a figure was old or missing", spell_s=(1, 15)),
    Fault("B24", "a symbol is renamed", "the broker told of an instrument under another name"),
    Fault("B25", "one call becomes two orders", "a broker of class B holds two orders under one name"),
    Fault("B26", "a mass cancel done in part", "of one cancel-all some cancels were lost"),
    Fault("D1", "the connection is lost in COMMIT", "a statement was decided and not answered"),
    Fault("D2", "serialization failures", "a statement was undone by the database"),
    Fault("D3", "failover losing the un-replicated tail",
          "an unanswered statement was lost with the primary, or all connections with one under way",
          spell_s=(1, 8)),
    Fault("D4", "read-only, disk full, I/O error", "a statement was refused by the server", spell_s=(0.5, 8)),
    Fault("D5", "slow statements", "a statement took seconds", spell_s=(1, 8)),
    Fault("D6", "a replica lags", absent=_PRIMARY),
    Fault("D7", "torn or lost writes", absent=_PROCESSES),
    Fault("D8", "the old primary comes back", absent=_NO_STANDBY),
    Fault("Q1", "cache flushed or stale", absent=_NO_BUS),
    Fault("Q2", "bus loses, doubles, reorders", absent=_NO_BUS),
    Fault("Q3", "consumers rebalance", absent=_NO_BUS),
    Fault("Q4", "bus down", absent=_NO_BUS),
    Fault("N1", "partition, also one-way", "calls or statements met a dead line", spell_s=(0.5, 15)),
    Fault("N2", "lines clogged one by one and freed in another order", "three lines were clogged at once"),
    Fault("N3", "a very slow line, to connect as well", "a call took seconds", spell_s=(1, 10)),
    Fault("N4", "the broker's name does not resolve", "a call could not begin", spell_s=(0.5, 8)),
    Fault("S1", "a second gateway starts beside the first", "the second did not get the fence"),
    Fault("S2", "a frozen gateway wakes after its place was taken", "it woke under an old epoch"),
    Fault("S3", "rolling upgrade", absent="one version per run"),
    Fault("S4", "stale feature flag", absent="there are no feature flags"),
    Fault("T1", "the wall clock jumps", "two readings of the clock were not in order", spell_s=(1, 20)),
    Fault("T2", "the process stands still", "timers fired late", spell_s=(0.5, 8)),
    Fault("U1", "a slow stream client", "a client was closed for not keeping up", spell_s=(5, 20)),
    Fault("U2", "many clients come back at once", "a crowd resumed together"),
    Fault("U3", "doubled and contradictory commands", "a key was used twice at once"),
    Fault("U4", "resume from nowhere", "a resume was answered with a snapshot"),
    Fault("K1", "key service down", absent="no key service in the engine"),
    Fault("K2", "identity provider down", absent="principals are given to the engine: tests/security"),
    Fault("K3", "the broker's secret was rotated before ours", "calls were refused as unauthenticated",
          spell_s=(1, 10)),
    Fault("A1", "the audit trail cannot keep up", "the journal's queue was full"),
    Fault("M1", "memory pressure", absent="measured by the performance suite"),
    Fault("O1", "an operator kills and releases again and again", "the kill switch was thrown under load"),
)  # fmt: skip

BY_ID: Final = {fault.id: fault for fault in FAULTS}
WITH_SUBJECT: Final = tuple(fault.id for fault in FAULTS if fault.has_subject)
