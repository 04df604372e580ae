"""Whether a sender without a token, such as a hook, may act now: itself, and whoever answers for it. Pure.

It proves itself with a secret that no authorization server gives out, so that neither the end of a token nor
that of a login reaches it. What reaches it is here, at every message: keeping out the sender or its owner, or
taking a right from either.
"""

from __future__ import annotations

import msgspec

from ordergate.core.access import Principal
from ordergate.security.clients import Client
from ordergate.security.directory import Directory


def admits(directory: Directory, sender: Principal, owner: str | None, now: float) -> bool:
    """An owner that is neither a person, nor a program, nor has ever had a role may nothing."""
    if not _by_roles(directory, sender):
        return False
    if owner is None:
        return True
    if not _by_roles(directory, msgspec.structs.replace(sender, subject=owner)):
        return False
    person, client = directory.person(owner), directory.client(owner)
    if person is not None:
        mine = person.enabled and person.tenant == sender.tenant
        return mine and sender.scopes <= person.scopes and sender.accounts <= person.accounts
    if client is not None:
        return _by_key(client, sender, now)
    return directory.registry.rights(sender.tenant, owner) is not None


def _by_roles(directory: Directory, asked: Principal) -> bool:
    """Whether all that is asked for is left when it is narrowed to what the subject's roles allow."""
    left = directory.registry.narrowed(asked)
    return left is not None and all(
        left.may_on(scope, account) for scope in asked.scopes for account in asked.accounts
    )


def _by_key(client: Client, sender: Principal, now: float) -> bool:
    ends = None if client.bounds is None else client.bounds.expires_at
    stands = client.enabled and not client.acts_for_people and (ends is None or now < ends)
    mine = stands and client.tenant == sender.tenant
    return mine and sender.scopes <= client.scopes and sender.accounts <= client.accounts
