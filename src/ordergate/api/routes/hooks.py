"""The route of alerts that become orders: no token, but a proof in the alert itself.

What an alert asks for passes the same gate as what a client asks for: the key, the account's limits, the
journal; and the rights, the bounds and the tenant's quota that its owner has now. An address that keeps
failing at a hook is slowed down there, and nowhere else: senders share theirs. A name that is no hook's is
counted as one that is, so that nobody learns which there are.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.edge import peer_of
from ordergate.api.exchange import Call, Reply, rate_limited, refused
from ordergate.api.json_bodies import is_too_deep, repeated_key
from ordergate.api.quotas import Buckets, Kind
from ordergate.api.requests import terms_in
from ordergate.api.routes.hot import HotRoute
from ordergate.api.routes.orders import told
from ordergate.core.access import Principal, Scope
from ordergate.core.hooks.hook import UNKNOWN_SENDER, Hook, key_of, named
from ordergate.core.hooks.template import alert_in
from ordergate.core.ids import Env
from ordergate.core.json_text import has_one_reading
from ordergate.core.networks import network_of
from ordergate.core.refusals import Refusal
from ordergate.telemetry.log import logger

log = logger("security")

PATH: Final = "/v1/hooks/{name}"
NEVER: Final = 2**62
NAME_LENGTH: Final = 32
"""What is remembered of the name of a hook, or of what is none, where alerts were refused."""


class HookRoutes:
    def __init__(self, deps: Deps, door: Door) -> None:
        self._charge = door.meter.take
        self._env = deps.env
        self._hooks = deps.hooks
        self._gate = deps.gate
        self._identity = deps.identity
        self._clock = deps.clock
        self._bounds = deps.bounds
        self._refused = Buckets(deps.bounds.refused_alerts_of_peer)
        self._alerts = Buckets(deps.bounds.alerts_of_hook)

    def routes(self) -> list[HotRoute]:
        return [HotRoute(PATH, {"POST": self.place}, queried={"POST"})]  # senders add what they like

    async def place(self, call: Call) -> Reply:
        peer, now = peer_of(call.scope), self._clock.monotonic()
        name = call.part("name")
        hook = self._hooks.get(name)
        at = (network_of(peer), name[:NAME_LENGTH])
        if self._refused.is_empty(at, now):
            return rate_limited(self._refused.wait_s(at, now), call.correlation)
        body = await call.json_body(self._bounds)
        if isinstance(body, Refusal):
            return refused(body, call.correlation)
        admitted = UNKNOWN_SENDER if hook is None else self._admitted(hook, call, body, peer)
        if isinstance(admitted, Refusal) or hook is None:
            self._refused.take(at, now)
            return refused(UNKNOWN_SENDER, call.correlation)
        sender, key, fields = admitted
        now = self._clock.monotonic()  # others were counted while the body came
        wait_s = self._alerts.take(hook.name, now) or self._charge(sender, Kind.ORDERS, now)
        if wait_s:
            return rate_limited(wait_s, call.correlation)
        terms = fields if isinstance(fields, Refusal) else terms_in(msgspec.json.encode(fields))
        if isinstance(terms, Refusal):
            return refused(terms, call.correlation)
        answer = await self._gate.place(sender, terms, key=key, correlation=call.correlation)
        return told(answer, 201, call.correlation)

    def _admitted(
        self, hook: Hook, call: Call, body: bytes, peer: str
    ) -> tuple[Principal, str, dict[str, str | bool] | Refusal] | Refusal:
        """Who sends, the key of the order and its fields, of an alert that is proved to be for this hook.

        Whoever is kept out, or has an owner who is, is told no more than a stranger.
        """
        if not hook.is_open_to(peer):
            return UNKNOWN_SENDER
        alert = alert_in(body)
        if isinstance(alert, Refusal) or is_too_deep(body):
            return UNKNOWN_SENDER
        if not has_one_reading(body) and repeated_key(body) is not None:
            return UNKNOWN_SENDER
        name = named(hook, call.headers, body, alert, self._clock.now())
        if isinstance(name, Refusal):
            return name
        sender = self._identity.admitted(sender_of(hook, self._env), hook.owner, peer)
        if sender is None:
            log.warning("hook.kept_out", hook=hook.name, owner=hook.owner)
            return UNKNOWN_SENDER
        return sender, key_of(hook, name), hook.template.order(hook.account, alert)


def sender_of(hook: Hook, env: Env) -> Principal:
    """A hook as a client: it may place orders in its account, and nothing else."""
    name = f"hook:{hook.name}"
    return Principal(
        env=env,
        tenant=hook.tenant,
        client_id=name,
        subject=name,
        scopes=frozenset({Scope.ORDERS_WRITE}),
        accounts=frozenset({hook.account}),
        expires_at=NEVER,
        token_id=name,
    )
