"""Seeds that once broke an invariant, each for what it found."""

import pytest

from ordergate.simulation.plan import draw
from ordergate.simulation.town import run


@pytest.mark.parametrize(
    ("seed", "found"),
    [
        (251, "a stream passed over what another owner of the account had written"),
        (10550, "a cancel was asked for again that was decided and not yet durable"),
        (10059, "a replacement that had been in force and was then refused was given up"),
        (10143, "the same where the broker takes a client order id twice"),
        (10519, "an execution known by its correction alone was closed out of turn"),
        (10713, "one that was taken back before it was told, and put back, was closed out of turn"),
        (10939, "an execution known by its correction alone was closed out of turn, at class B"),
        (10673, "a corrected execution, its correction unheard, was booked twice under a second id"),
        (543, "the checker held a replacement that asks for less to a limit that the venue had broken"),
        (100905, "a stop engaged again in the instant of its release was lost in memory"),
        (100748, "an execution listed later than its break was opened was never read"),
        (301729, "a correction under the first id was booked beside what was known by its second"),
        (510652, "a price of a moment ago was forgotten by a clock that ran ahead at a restart"),
        (509169, "the correction of a lost execution was booked to another, of another moment"),
        (701767, "the refusal of a second order of one call ended the first, which had filled"),
        (700820, "a clock that was set back and returned gave the messages of its window again"),
        (302446, "the checker took limits that bound the same for the same limits"),
        (300212, "limits that another owner had changed were not read when an account was taken again"),
        (89, "a group waited for an hour, because the clock was set back by one"),
        (259, "what a group had exited too much was not undone where its next order was held back"),
        (651, "the same where the entry was taken back"),
        (687, "refused exits were tried without a pause after the clock was set back"),
        (400517, "an order's end was believed before the executions that the stream had lost"),
        (400857, "an exit that a fill told after a cancel left no room for was taken for a forged one"),
        (408, "a replacement was sent of an exit that had filled in the same commit"),
        (526, "a restart counted messages against a bucket of the future"),
        (132, "the checker knew no clock that was set back"),
        (272, "the checker held an exit that grows to a limit of exposure"),
        (900023, "a world ended while a refused group was about to try again"),
        (1273, "an order that an override let past left no trace of the market's price"),
        (2093, "the checker took an order for older than a client's end, after which the clock was set back"),
        (338, "the checker counted the time in which the database wrote nothing for anybody"),
        (1464, "a throttle of the simulated accounts was engaged when nobody was left to release it"),
        (1669, "the checker knew no price that a clock which ran ahead had made too old"),
        (5000571, "a stop whose commit was lost with the primary, and had been made, was written twice"),
        (700163, "the checker took a stop that a group made larger for an order at the market"),
        (101645, "the twin filled for a cut that was over, too late in the calm to be told of"),
        (411681, "a group that was canceled gave up undoing a surplus, and nobody was told"),
        (403003, "a change whose commit was lost, and had been made, was written twice"),
        (403887, "the checker took a group's next order for one that somebody had asked for"),
        (
            505007,
            "a change of what was booked under a second id was taken for new beside one that equalled it",
        ),
        (506802, "a clock that had run ahead made a restart forget what had been accepted a moment ago"),
        (
            501364,
            "an order that was refused and taken all the same was not canceled for a client that had gone",
        ),
        (418693, "the correction of an opening price was never read, until the position was closed"),
        (802951, "the checker took an order for older than a client's end that was written after it"),
        (
            902506,
            "an order that a restart found and that was to be canceled worked until a run was over",
        ),
        (1100791, "the twin of the database gave up a host that had come back, in the middle of the calm"),
        (1107131, "an execution was taken for a repeat of one that had been lost with its commit"),
        (1112157, "an order that only a bust was heard of was called unknown for ever, and never asked for"),
        (
            1111583,
            "a clock that was set back and returned made a price of a moment ago an hour old",
        ),
        (1304196, "the checker ended a calm before what had been kept back could be read"),
        (1314421, "the same, of an order that its group had released in the last moment"),
        (1317803, "the same, of a replacement in a world without groups"),
        (1332473, "an execution was taken for one taken back, because others had not been heard of yet"),
        (1340321, "an exit was held back as a break while one that had ended came back to life"),
        (1343147, "the same, of a client that followed another account"),
        (1346498, "a refused repeat was believed, because the commit that called the order unknown was lost"),
        (1348005, "an exit was held back as a break while another came back to life"),
        (1320016, "the second order of a call was a stranger's by what was lost while it was asked for"),
        (1313073, "an exit was held back as a break when an execution of the one before was taken back"),
        (1306103, "a client that went late from a stream begun anew took those along who had come back"),
        (401784, "a cancel that overtook its order on a slow line was not asked again when it was found"),
    ],
)
def test_a_seed_that_failed_is_clean(seed: int, found: str) -> None:
    assert run(draw(seed)).violations == (), found
