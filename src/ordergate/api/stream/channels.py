"""Which events belong to which channels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """What a client may follow about an account."""

    ORDERS = "orders"
    EXECUTIONS = "executions"
    POSITIONS = "positions"
    BALANCES = "balances"
    ACCOUNT = "account"
    RISK = "risk"


# A set of channels as one plain number: membership is tested for every event and every topic.
Mask = int

ORDERS: Final[Mask] = 1
EXECUTIONS: Final[Mask] = 2
POSITIONS: Final[Mask] = 4
BALANCES: Final[Mask] = 8
ACCOUNT: Final[Mask] = 16
RISK: Final[Mask] = 32
"""No event: how much of its limits the account uses is told from time to time, the latest only."""

BIT: Final[Mapping[Channel, Mask]] = {
    Channel.ORDERS: ORDERS,
    Channel.EXECUTIONS: EXECUTIONS,
    Channel.POSITIONS: POSITIONS,
    Channel.BALANCES: BALANCES,
    Channel.ACCOUNT: ACCOUNT,
    Channel.RISK: RISK,
}

# A client that follows both holds all open orders and positions, so its view can be proved by hash.
WHOLE_STATE: Final = ORDERS | POSITIONS

_EXECUTION: Final = ORDERS | EXECUTIONS | POSITIONS | BALANCES

MASK_OF_KIND: Final[Mapping[str, Mask]] = {
    "order_accepted": ORDERS,
    "order_held": ORDERS,
    "held_replaced": ORDERS,
    "order_denied": ORDERS,
    "order_adopted": ORDERS,
    "dispatch_started": ORDERS,
    "order_acknowledged": ORDERS,
    "outcome_unknown": ORDERS,
    "order_quarantined": ORDERS,
    "order_resolved": ORDERS,
    "order_completed": ORDERS,
    "order_reopened": ORDERS,
    "order_rejected": ORDERS,
    "order_sent": ORDERS,
    "order_canceled": ORDERS,
    "order_expired": ORDERS,
    "cancel_requested": ORDERS,
    "cancel_rejected": ORDERS,
    "replace_requested": ORDERS,
    "replace_denied": ORDERS,
    "replace_rejected": ORDERS,
    "order_replaced": ORDERS,
    "order_partially_filled": _EXECUTION,
    "order_filled": _EXECUTION,
    "execution_busted": _EXECUTION,
    "execution_corrected": _EXECUTION,
    "execution_duplicated": ORDERS | EXECUTIONS,
    "account_opened": ACCOUNT | BALANCES,
    "account_synced": ACCOUNT | BALANCES,
    "alarm_raised": ACCOUNT,
    "alarm_cleared": ACCOUNT,
    "break_opened": ACCOUNT,
    "break_noted": ACCOUNT,
    "break_assigned": ACCOUNT,
    "break_cancel_asked": ACCOUNT,
    "break_cancel_answered": ACCOUNT,
    "break_healed": ACCOUNT,
    "break_resolved": ACCOUNT,
    "break_reopened": ACCOUNT,
    "cash_adjusted": ACCOUNT | BALANCES,
    "override_used": ACCOUNT | ORDERS,
    "symbol_renamed": ACCOUNT | POSITIONS,
    "high_water_raised": ACCOUNT,
    "loss_limit_reached": ACCOUNT,
    "use_refused": ACCOUNT,
    "position_adjusted": ACCOUNT | POSITIONS,
    "group_accepted": ORDERS,
    "group_denied": ORDERS,
    "leg_released": ORDERS,
    "leg_recalled": ORDERS,
    "leg_triggered": ORDERS,
    "trail_moved": ORDERS,
    "group_cancel_requested": ORDERS,
    "group_ended": ORDERS,
}


def mask_of(channels: Iterable[Channel]) -> Mask:
    mask = 0
    for channel in channels:
        mask |= BIT[channel]
    return mask
