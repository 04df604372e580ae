"""Mistakes with a broker that makes two orders of one call: which is ours, and who is told."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_VERSIONS: Final = "core/orders/versions.py"

MUTATIONS: Final = (
    Mutation(
        id="second-of-two-taken-for-ours",
        p0=True,
        what="a second order under one of our names counts as the first",
        file=_VERSIONS,
        find="    if known is None or report.broker_order_id == known:\n        return False\n",
        put="    if known is None or report.broker_order_id != report.cl_ord_id:\n        return False\n",
    ),
    Mutation(
        id="second-of-two-taken-for-an-old-version",
        p0=True,
        what="once ours was replaced the second order counts as what it replaced",
        file=_VERSIONS,
        find="        return of_broker_id.external\n    return report.version in (_FIRST, order.version)",
        put="        return of_broker_id.external and report.version == order.version\n    return report.version == order.version",
    ),
    Mutation(
        id="either-of-two-believed-by-name",
        p0=True,
        what="what the broker shows under the name of an order is believed of it, whichever it is",
        file="engine/wire/asking.py",
        find="        expected = order.broker_order_id if version == order.version else None",
        put="        expected = order.broker_order_id if version > order.version else None",
    ),
    Mutation(
        id="doubled-not-alarmed",
        p0=True,
        what="nobody is told that the broker made two orders of one call",
        file="engine/wire/doubled.py",
        find="    alarms.sound(seat, AlarmNature.ORDER_DOUBLED, second, detail, facts)\n",
        put="    _ = alarms, seat, AlarmNature.ORDER_DOUBLED, second, detail, facts\n",
    ),
)
