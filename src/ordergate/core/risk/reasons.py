"""Why a control said no: a closed set of stable reasons, documented from here.

Reasons are never reused or renamed.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The text beside each is what it means, for the documentation."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Reason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # What every control can say
    CONTROL_ERROR = "control-error", "The control failed while it was evaluated; that is a no."
    NO_LIMITS = "no-limits", "No limits are configured for the account, or for this instrument."
    NO_REFERENCE_PRICE = "no-reference-price", "No price of the instrument is known to judge by."
    STALE_REFERENCE_PRICE = "stale-reference-price", "The last known price is older than allowed."
    NO_FX_RATE = "no-fx-rate", "No rate is known of a currency that something is in."
    STALE_FX_RATE = "stale-fx-rate", "A rate of exchange is older than allowed."
    UNPRICED_EXPOSURE = "unpriced-exposure", "An open order or position has no known value."
    # R01, R02
    KILL_SWITCH = "kill-switch", "The kill switch is engaged."
    NOT_ENABLED = "not-enabled", "The account is not enabled for trading."
    # R03, R04
    NOT_PERMITTED = "not-permitted", "The account may not send such an order: its type, side or life."
    RESTRICTED = "restricted", "The instrument is on the restricted list."
    RESTRICTED_LIST_STALE = "restricted-list-stale", "The restricted list is older than it may be."
    # R05
    WRONG_ACCOUNT = "wrong-account", "The order is for another account or instrument."
    NOT_POSITIVE = "not-positive", "A quantity or price is not a finite, positive number."
    OVER_PRECISE = "over-precise", "A quantity or price has too many digits."
    OFF_LOT = "off-lot", "The quantity is not a whole number of lots."
    OFF_TICK = "off-tick", "A price is not a whole number of ticks."
    PRICE_MISSING = "price-missing", "The order's type needs a price that is not there."
    PRICE_MISPLACED = "price-misplaced", "The order's type has no such price."
    # R06 to R16
    ORDER_QUANTITY = "order-quantity", "The quantity is over the most for one order."
    ORDER_NOTIONAL = "order-notional", "The value is over the most for one order."
    PRICE_TOO_AGGRESSIVE = "price-too-aggressive", "Buys too high or sells too low for the market."
    PRICE_TOO_PASSIVE = "price-too-passive", "Too far from the market to be meant."
    POSITION = "position", "If everything open filled, the position would be over its limit."
    BUYING_POWER = "buying-power", "The funds left would not cover everything open and this."
    NO_INITIAL_MARGIN = "no-initial-margin", "No initial margin is configured for a future."
    OPEN_ORDERS = "open-orders", "The account has as many open orders as it may."
    OPEN_NOTIONAL = "open-notional", "The value of all open orders would be over its limit."
    MESSAGE_RATE = "message-rate", "Too many new orders and replacements in a window of time."
    RATE_STATE_STALE = "rate-state-stale", "The message counts are not those of these limits."
    DUPLICATE = "duplicate", "An equal order was accepted a moment ago under another key."
    DUPLICATE_MEMORY_FULL = "duplicate-memory-full", "Too many recent orders to compare with."
    # R25
    STALE_ACCOUNT = "stale-account", "The broker's stream is down, or not caught up with, for too long."
    OPEN_BREAK = "open-break", "A severe break of the account is open."
    JUDGED_TOO_SLOWLY = "judged-too-slowly", "Until it was judged, what it was judged by may have changed."
    FRESHNESS_UNKNOWN = "freshness-unknown", "How current the account's picture is, is not known."
    # R09, R10
    PRICE_DRIFT = "price-drift", "The market, or the price, has run too far within the window."
    NO_QUOTE = "no-quote", "No whole quote is known to send a market order into."
    STALE_QUOTE = "stale-quote", "The last quote is too old to send a market order into."
    CROSSED_QUOTE = "crossed-quote", "The bid is above the ask: the market data is wrong."
    WIDE_SPREAD = "wide-spread", "The spread is too wide for a market order."
    MARKET_NOT_CONVERTED = "market-not-converted", "A group cannot have the limit order that this becomes."
    # R12, R18, R19
    GROSS_EXPOSURE = "gross-exposure", "The gross exposure would be over its limit."
    NET_EXPOSURE = "net-exposure", "The net exposure would be over its limit."
    EXPOSURE_UNKNOWN = "exposure-unknown", "The exposure of a group of accounts is not known."
    VALUATION_STALE = "valuation-stale", "What positions are worth now is not known."
    DAILY_LOSS = "daily-loss", "The day has lost as much as it may."
    DRAWDOWN = "drawdown", "The day has given back as much of its highest profit as it may."
    WEEKLY_LOSS = "weekly-loss", "The week has lost as much as it may."
    TRADE_COUNT = "trade-count", "The day has as many trades as it may."
    CONCENTRATION = "concentration", "Too large a part of the account would be in one instrument."
    VOLUME_SHARE = "volume-share", "Too large a part of the instrument's daily volume."
    VOLUME_UNKNOWN = "volume-unknown", "The instrument's daily volume is not known, or is too old."
    # R21, R22, R27
    SELF_MATCH = "self-match", "It could trade with an own resting order."
    HOURS_UNKNOWN = "hours-unknown", "The trading hours of the instrument are not known."
    MARKET_CLOSED = "market-closed", "The instrument's market is not in its session."
    FLATTEN_BY = "flatten-by", "It is past the time by which the account has to be flat."
    CANARY = "canary", "More than a new version of a strategy may do in its first days."
    # R28
    IDENTITY_MISSING = "identity-missing", "The order does not say which algorithm and person it is of."
