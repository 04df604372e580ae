"""Mistakes that no simulation could see, because another part does the same: taken out, with the reason."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Equivalent

EQUIVALENTS: Final[tuple[Equivalent, ...]] = (
    Equivalent(
        id="failed-receipt-kept",
        what="the receipt of a failed commit stays in memory",
        why="a failed commit stops the account, and recovery reads its receipts anew",
    ),
    Equivalent(
        id="class-c-dispatched-twice",
        what="a class C order whose sending is written down is not kept from being placed again",
        why="nothing asks for it a second time; sending it again on purpose is a mutation",
    ),
    Equivalent(
        id="key-digest-without-client",
        what="the 64 bits by which old keys are remembered leave the client out",
        why="a match is looked up whole before it counts; a worse digest only costs look-ups",
    ),
    Equivalent(
        id="kill-not-asked-on-replace",
        what="the kill switch is not asked again before a replace is sent",
        why="a replace leaves in the turn in which it became durable, and the switch is written behind it",
    ),
    Equivalent(
        id="absence-counted-once",
        what="one `no such order` after the settle window ends the order",
        why="in every simulated world what was sent is shown by then; tests/core proves the rule itself",
    ),
    Equivalent(
        id="end-told-before-its-executions",
        what="an end that a question shows is told on before its executions are known",
        why="it says how much was filled, and is not believed by an order that has less",
    ),
    Equivalent(
        id="absence-not-apart",
        what="two `no such order` count however close they are",
        why="in every simulated world what was sent is shown by then; tests/core proves the rule itself",
    ),
    Equivalent(
        id="find-asks-the-wrong-version",
        what="an order is asked for under the version after the one in force",
        why="where that is not found the version in force is asked for, too",
    ),
    Equivalent(
        id="resend-does-not-open-the-window",
        what="sending again does not open the settle window anew",
        why="an unclear answer to the repeat does, five seconds later, and nothing is under way for so long",
    ),
    Equivalent(
        id="told-twice-after-recovery",
        what="what was told once is not passed over when it comes to be told again",
        why="commits are answered before an account is taken anew, and its fold tells what none of them told",
    ),
)
