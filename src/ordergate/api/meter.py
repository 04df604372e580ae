"""What clients and their tenants have left of each kind of request, over REST and over the stream alike.

A client's quota is looked at before its tenant's, so that one that asks too often takes nothing from the
others of its tenant. Nothing here waits.
"""

from __future__ import annotations

from ordergate.api.quotas import Buckets, Kind, Quotas
from ordergate.core.access import Principal


class Meter:
    """One for all listeners and all streams of a process."""

    def __init__(self, of_client: Quotas, of_tenant: Quotas | None) -> None:
        self._of_client = {kind: Buckets(of_client.of(kind)) for kind in Kind}
        self._of_tenant = {} if of_tenant is None else {kind: Buckets(of_tenant.of(kind)) for kind in Kind}

    def take(self, principal: Principal, kind: Kind, now: float) -> float:
        """0.0, or the seconds until there is room again."""
        wait_s = self._of_client[kind].take((principal.tenant, principal.client_id), now)
        if wait_s or not self._of_tenant:
            return wait_s
        return self._of_tenant[kind].take(principal.tenant, now)

    def is_spent(self, principal: Principal, kind: Kind, now: float) -> bool:
        """True when nothing could be taken now; takes nothing."""
        if self._of_client[kind].is_empty((principal.tenant, principal.client_id), now):
            return True
        return bool(self._of_tenant) and self._of_tenant[kind].is_empty(principal.tenant, now)
