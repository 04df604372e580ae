"""Whether a sender without a token, such as a hook, may act now: itself, and whoever answers for it. Pure.

It proves itself with a secret that no authorization server gives out, so that neither the end of a token nor
that of a login reaches it. What reaches it is here, at every message: keeping out the sender or its owner, or
taking a right from either. A program's key that answers for it bounds it as it bounds the program.
"""

from __future__ import annotations

import msgspec

from ordergate.core.access import Principal
from ordergate.core.key_bounds import must_sign, refuse_address
from ordergate.security.clients import Client
from ordergate.security.directory import Directory


def admitted(
    directory: Directory, sender: Principal, owner: str | None, peer: str, now: float
) -> Principal | None:
    """The sender with its owner's bounds; None where it may not.

    An owner that is neither a person, nor a program, nor has ever had a role may nothing.
    """
    if not _by_roles(directory, sender):
        return None
    if owner is None:
        return sender
    if not _by_roles(directory, msgspec.structs.replace(sender, subject=owner)):
        return None
    person, client = directory.person(owner), directory.client(owner)
    bounds = None
    if person is not None:
        mine = person.enabled and person.tenant == sender.tenant
        stands = mine and sender.scopes <= person.scopes and sender.accounts <= person.accounts
    elif client is not None:
        stands, bounds = _by_key(client, sender, peer, now), client.bounds
    else:
        stands = directory.registry.rights(sender.tenant, owner) is not None
    return msgspec.structs.replace(sender, owner=owner, bounds=bounds) if stands else None


def _by_roles(directory: Directory, asked: Principal) -> bool:
    """Whether all that is asked for is left when it is narrowed to what the subject's roles allow."""
    left = directory.registry.narrowed(asked)
    return left is not None and all(
        left.may_on(scope, account) for scope in asked.scopes for account in asked.accounts
    )


def _by_key(client: Client, sender: Principal, peer: str, now: float) -> bool:
    """A key whose orders count only in requests that it signs answers for none that it has not."""
    bounds = client.bounds
    ends = None if bounds is None else bounds.expires_at
    stands = client.enabled and not client.acts_for_people and (ends is None or now < ends)
    mine = stands and client.tenant == sender.tenant
    if not mine or must_sign(msgspec.structs.replace(sender, bounds=bounds)):
        return False
    if refuse_address(bounds, peer) is not None:
        return False
    return sender.scopes <= client.scopes and sender.accounts <= client.accounts
