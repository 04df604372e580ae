"""Puts the drop copy and the alerts together: who listens, what is kept, and how it is posted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import msgspec

from ordergate.audit.alerting import Alerting, Target
from ordergate.audit.drop_copy import DropCopy
from ordergate.audit.outbound import Poster, Refused, check_url
from ordergate.audit.watching import Endpoint, Retention, Stream, Watching
from ordergate.core.ids import AccountId, Env
from ordergate.core.webhook_signatures import secret_of
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.fence import FencedViews
from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.journal import Journal
from ordergate.telemetry.log import logger
from ordergate.wiring.settings import CannotStart, EndpointSettings, Settings

log = logger("surveillance")

BOTH: Final = 2


class Surveillance(msgspec.Struct, frozen=True):
    """`audience` hears everything, `drop_copy` shows it; `duties` are what the node keeps running."""

    audience: Watching
    drop_copy: DropCopy
    duties: dict[str, Callable[[], Awaitable[None]]]


async def surveillance(
    settings: Settings,
    dsn: str,
    audience: Audience,
    journal: Journal,
    fenced: FencedViews,
    *,
    clock: Clock,
    chance: Chance,
    stack: AsyncExitStack,
) -> Surveillance:
    """Raises CannotStart and Fault."""
    inside = settings.environment is Env.PAPER
    targets = [_target(one, inside=inside) for one in settings.surveillance]
    if (lack := lacking(settings)) is not None:
        log.warning("surveillance.lacking", why=lack)
    audit_log = await PostgresAuditLog.connect(dsn)
    stack.push_async_callback(audit_log.close)
    store = await PostgresSurveillance.connect(dsn)
    stack.push_async_callback(store.close)
    poster = Poster(inside=inside)
    stack.push_async_callback(poster.close)
    watching = Watching(
        audience,
        journal=journal,
        audit_log=audit_log,
        store=store,
        endpoints=[_endpoint(one) for one in settings.surveillance],
        clock=clock,
        retention=retention_of(settings),
    )
    alerting = Alerting(store, poster.post, clock, chance)
    duties = {"surveillance": watching.run, "surveillance-house": watching.keep_house}
    drop_copy = DropCopy(fenced.copies(store.last_number), settings.environment, settings.accounts)
    return Surveillance(watching, drop_copy, {**duties, **alerting.duties(targets)})


def lacking(settings: Settings) -> str | None:
    """Why not everybody is alerted who has to be: the trader, and somebody independent of them."""
    alerted = [one for one in settings.surveillance if Stream.ALERTS in one.streams]
    unheard = [
        account
        for account in settings.accounts
        if sum(1 for one in alerted if not one.accounts or account in one.accounts) < BOTH
    ]
    return f"trader and risk are not both alerted of {', '.join(unheard)}" if unheard else None


def retention_of(settings: Settings) -> Retention:
    """How long messages are kept."""
    audit = settings.audit
    return Retention(
        taken=timedelta(days=audit.messages_kept_days), dead=timedelta(days=audit.dead_letters_kept_days)
    )


def _endpoint(one: EndpointSettings) -> Endpoint:
    streams = frozenset(Stream(stream) for stream in one.streams)
    return Endpoint(name=one.name, streams=streams, accounts=frozenset(map(AccountId, one.accounts)))


def _target(one: EndpointSettings, *, inside: bool) -> Target:
    try:
        check_url(one.url, inside=inside)
        secrets = _Secrets(one)
    except (Refused, ValueError) as error:
        raise CannotStart(f"surveillance {one.name}: {error}") from error
    if not one.secrets:
        raise CannotStart(f"surveillance {one.name}: give at least one secret")
    return Target(name=one.name, url=one.url, secrets=secrets)


class _Secrets:
    """An endpoint's secrets of now: a file that was replaced is read again for the next message."""

    def __init__(self, one: EndpointSettings) -> None:
        """Raises CannotStart and ValueError."""
        self._name = one.name
        self._sources = one.secrets
        self._known = [secret_of(source.read().reveal()) for source in one.secrets]

    def __call__(self) -> tuple[bytes, ...]:
        for number, source in enumerate(self._sources):
            if source.file is None:
                continue
            try:
                self._known[number] = secret_of(source.read().reveal())
            except (CannotStart, ValueError) as fault:
                log.warning("webhook.secret_unreadable", endpoint=self._name, why=str(fault))
        return tuple(dict.fromkeys(self._known))
