"""From a bearer token to a principal. Implements `ports.identity.Identity`.

A token is verified once and then remembered until it expires, is revoked, loses its key, or its
client or its subject loses a right; being remembered costs a dictionary lookup. What a token allows
is never more than what its client and its subject may do now. A token that is bound to its sender is
remembered apart from those that serve whoever has one: no text that is sent as one of these finds it,
and what its sender proves is checked every time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ordergate.core.access import KeyBounds, Principal, Scope
from ordergate.core.ids import AccountId, Env, is_account_id
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.clock import Clock
from ordergate.ports.identity import Shown
from ordergate.security import answering
from ordergate.security.clients import Client
from ordergate.security.directory import Directory
from ordergate.security.external import ExternalIssuer, IssuerUnreachable
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.senders import Senders
from ordergate.security.shares import Shares
from ordergate.security.verify import Flaw, Standard, Trust, Unverified, VerifyKey, check, take_apart, texts
from ordergate.security.verify import verify_key as key_of

REMEMBERED_MAX: Final = 20_000
UNADORNED: Final = Shown()


class _Own(msgspec.Struct, frozen=True, kw_only=True):
    """The claims that only our own tokens must have."""

    client_id: str
    scope: str
    env: str
    tenant: str
    acct: list[str]
    sid: str | None = None


class _Allowed(msgspec.Struct, frozen=True):
    """The most that a token may allow now."""

    scopes: frozenset[Scope]
    accounts: frozenset[AccountId]
    bounds: KeyBounds | None


class _Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was verified: `said` is what it says, `principal` what its subject may do of it."""

    token: str
    said: Principal
    principal: Principal
    kid: str
    issuer: ExternalIssuer | None
    deadline: float
    grant_id: str | None = None


class Bearer:
    """Everything but `authenticate` is synchronous and does not wait."""

    def __init__(
        self,
        profile: Profile,
        directory: Directory,
        clock: Clock,
        senders: Senders,
        *,
        issuers: Sequence[ExternalIssuer] = (),
        programs_step_up: bool = False,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        """`programs_step_up`: a program's new token counts as a fresh login; never in live."""
        self._profile = profile
        self._directory = directory
        self._clock = clock
        self._senders = senders
        self._external = {issuer.settings.issuer: issuer for issuer in issuers}
        if profile.issuer in self._external or len(self._external) != len(issuers):
            raise ValueError("every issuer needs a URL of its own")
        self._trust = Trust(
            issuer=profile.issuer, audience=profile.audience, lifetime_s_max=profile.lifetime_s
        )
        self._programs_step_up = programs_step_up and profile.env is Env.PAPER
        self._remembered_max = remembered_max
        self._by_token: dict[str, _Standing] = {}
        self._by_bound_token: dict[str, _Standing] = {}
        self._by_id: dict[str, _Standing] = {}
        self._shares = Shares()
        self._keys: Mapping[str, VerifyKey] = {}
        directory.on_change(self._review)
        self._review(None)

    def known(self, token: str) -> Principal | None:
        """The principal of a token that was verified before and still stands; never blocks."""
        standing = self._by_token.get(token)
        if standing is None or self._now() >= standing.deadline or standing.principal.bound_to is not None:
            return None
        return standing.principal

    def known_bound(self, token: str, shown: Shown) -> Principal | Refusal | None:
        """The same for a token that is bound to its sender, who proves it anew each time."""
        standing = self._by_bound_token.get(token)
        if standing is None or self._now() >= standing.deadline:
            return None
        principal = standing.principal
        return self._senders.check(principal, token, shown) or principal

    async def authenticate(self, token: str, shown: Shown = UNADORNED) -> Principal | Refusal:
        """Verify a token: signature, issuer, audience, times, revocation, and its sender's proof."""
        found = (None if shown.dpop else self.known(token)) or self.known_bound(token, shown)
        if found is not None:
            return found
        try:
            standing = await self._verify(token)
        except Flaw as flaw:
            return Refusal(Code.UNAUTHENTICATED, str(flaw))
        except IssuerUnreachable:
            return Refusal(Code.UNAVAILABLE, "the issuer of the token cannot be asked for its keys now")
        principal = standing.principal
        no = self._senders.check(principal, token, shown)
        if no is not None:
            return no
        self._remember(standing)
        return principal

    def stepped_up(self, principal: Principal) -> bool:
        return principal.logged_in_lately(self._now())

    def admitted(self, sender: Principal, owner: str | None, peer: str) -> Principal | None:
        return answering.admitted(self._directory, sender, owner, peer, self._now())

    def nonce(self) -> str:
        return self._senders.proofs.nonce()

    def still_valid(self, principal: Principal) -> bool:
        """False once the token expired or was revoked; cheap enough for every frame."""
        standing = self._by_id.get(principal.token_id)
        if standing is None or self._now() >= standing.deadline:
            return False
        # A token that was verified again after a change may allow less than what was read from it before.
        return standing.principal is principal or standing.principal == principal

    def own(self, token: str) -> tuple[Principal, Standard] | None:
        """What a token of ours allows while it stands; None for any other. Safe from any thread."""
        try:
            unverified = take_apart(token)
            if unverified.claims.get("iss") != self._profile.issuer:
                return None
            said, standard = self._check_own(unverified)
            return self._narrowed(said), standard
        except Flaw:
            return None

    async def _verify(self, token: str) -> _Standing:
        unverified = take_apart(token)
        issuer = unverified.claims.get("iss")
        if issuer == self._profile.issuer:
            principal, _ = self._check_own(unverified)
            standing = self._standing(token, principal, unverified.kid)
            return msgspec.structs.replace(standing, grant_id=unverified.claims.get("sid"))
        external = self._external.get(issuer) if isinstance(issuer, str) else None
        if external is None:
            raise Flaw("the token is of another issuer")
        fetches = external.fetches
        key = await external.key(unverified.kid)
        if external.fetches != fetches:
            self._forget_unstanding()  # what a key signed that is no longer the issuer's
        standard = check(unverified, key, external.trust, self._now())
        principal = external.principal(self._profile.env, unverified.claims, standard)
        if self._directory.is_revoked(principal.token_id):
            raise Flaw("the token has been revoked")
        return self._standing(token, principal, unverified.kid, external)

    def _check_own(self, unverified: Unverified) -> tuple[Principal, Standard]:
        standard = check(unverified, self._keys.get(unverified.kid), self._trust, self._now())
        principal = self._own_principal(unverified.claims, standard)
        if self._directory.is_revoked(standard.jti):
            raise Flaw("the token has been revoked")
        return principal, standard

    def _own_principal(self, claims: Mapping[str, Any], standard: Standard) -> Principal:
        env = self._profile.env
        try:
            own = msgspec.convert(claims, _Own, strict=True)
        except msgspec.ValidationError:
            raise Flaw("the token lacks a claim, or one has the wrong form") from None
        if own.env != env.value or not all(is_account_id(env, account) for account in own.acct):
            raise Flaw("the token is of another environment")
        allowed = self._allowed(own.client_id, standard.sub, own.tenant, own.sid)
        return Principal(
            env=env,
            tenant=own.tenant,
            # People are told apart also where they use one program.
            client_id=own.client_id if own.sid is None else f"{own.client_id}:{standard.sub}",
            subject=standard.sub,
            scopes=frozenset(Scope(scope) for scope in texts(own.scope, " ") if scope in allowed.scopes),
            accounts=frozenset(AccountId(account) for account in own.acct) & allowed.accounts,
            expires_at=standard.exp,
            token_id=standard.jti,
            auth_time=standard.auth_time if own.sid is not None else self._proven_at(standard),
            acr=standard.acr,
            bound_to=standard.bound_to(),
            bounds=allowed.bounds,
        )

    def _proven_at(self, standard: Standard) -> int | None:
        """Nobody has logged in for a program's own token; where one person runs everything it may do."""
        return standard.iat if self._programs_step_up else None

    def _allowed(self, client_id: str, subject: str, tenant: str, grant_id: str | None) -> _Allowed:
        """What the token's client may do now, or the client and the person it acts for. Raises Flaw."""
        client = self._directory.client(client_id)
        if client is None or not client.enabled or self._is_over(client):
            raise Flaw("the token's client may not use it any more")
        if grant_id is None:
            if client.tenant != tenant or subject != client_id or client.acts_for_people:
                raise Flaw("the token's client may not use it any more")
            return _Allowed(client.scopes, client.accounts, client.bounds)
        person = self._directory.person(subject)
        if person is None or not person.enabled or person.tenant != tenant:
            raise Flaw("the token's person may not use it any more")
        if self._directory.is_revoked(grant_id):
            raise Flaw("the token has been revoked")
        return _Allowed(client.scopes & person.scopes, client.accounts & person.accounts, client.bounds)

    def _standing(
        self, token: str, said: Principal, kid: str, issuer: ExternalIssuer | None = None
    ) -> _Standing:
        """Raises Flaw for a subject that is kept out."""
        deadline = float(said.expires_at + SKEW_S)
        if said.bounds is not None and said.bounds.expires_at is not None:
            deadline = min(deadline, float(said.bounds.expires_at))
        principal = self._narrowed(said)
        return _Standing(
            token=token, said=said, principal=principal, kid=kid, issuer=issuer, deadline=deadline
        )

    def _is_over(self, client: Client) -> bool:
        bounds = client.bounds
        return bounds is not None and bounds.expires_at is not None and self._now() >= bounds.expires_at

    def _narrowed(self, said: Principal) -> Principal:
        principal = self._directory.registry.narrowed(said)
        if principal is None:
            raise Flaw("the token's subject may not use it any more")
        return principal

    def _remember(self, standing: _Standing) -> None:
        if len(self._by_id) >= self._remembered_max:
            self._forget_expired()
        while len(self._by_id) >= self._remembered_max:
            self._forget(self._by_id[self._shares.first_to_leave()])
        namesake = self._by_id.get(standing.principal.token_id)
        if namesake is not None:  # An issuer that uses an id twice gets one token at a time.
            self._forget(namesake)
        self._named_like(standing)[standing.token] = standing
        self._by_id[standing.principal.token_id] = standing
        self._shares.add(standing.principal.tenant, standing.principal.client_id, standing.principal.token_id)

    def _named_like(self, standing: _Standing) -> dict[str, _Standing]:
        return self._by_token if standing.principal.bound_to is None else self._by_bound_token

    def _forget(self, standing: _Standing) -> None:
        self._named_like(standing).pop(standing.token, None)
        if self._by_id.get(standing.principal.token_id) is standing:
            del self._by_id[standing.principal.token_id]
            whose = standing.principal
            self._shares.drop(whose.tenant, whose.client_id, whose.token_id)

    def _forget_expired(self) -> None:
        now = self._now()
        for standing in [each for each in self._by_id.values() if now >= each.deadline]:
            self._forget(standing)

    def _review(self, token_id: str | None) -> None:
        """Forget what no longer stands after a change of clients, keys or revocations."""
        if token_id is not None:
            named = [self._by_id[token_id]] if token_id in self._by_id else self._of_grant(token_id)
            for standing in named:
                self._forget(standing)
            return
        keys = (key_of(json.loads(key.jwk), key.retires_at) for key in self._directory.published_keys())
        self._keys = {key.kid: key for key in keys if key is not None}
        self._forget_unstanding()

    def _forget_unstanding(self) -> None:
        for standing in [each for each in self._by_id.values() if not self._stands(each)]:
            self._forget(standing)

    def _of_grant(self, grant_id: str) -> list[_Standing]:
        return [each for each in self._by_id.values() if each.grant_id == grant_id]

    def _stands(self, standing: _Standing) -> bool:
        principal = standing.said
        if self._directory.is_revoked(principal.token_id) or self._now() >= standing.deadline:
            return False
        version = self._directory.registry.version(principal.tenant, principal.subject)
        if version != standing.principal.version:
            return False
        if standing.issuer is not None:
            return standing.issuer.lists(standing.kid)
        key = self._keys.get(standing.kid)
        if key is None or (key.retires_at is not None and key.retires_at <= self._now()):
            return False
        try:
            allowed = self._allowed(
                client_of(principal), principal.subject, principal.tenant, standing.grant_id
            )
        except Flaw:
            return False
        return (
            principal.scopes <= allowed.scopes
            and principal.accounts <= allowed.accounts
            and principal.bounds == allowed.bounds
        )

    def _now(self) -> float:
        return self._clock.now().timestamp()


def client_of(principal: Principal) -> str:
    """The client that a token of ours was issued to; no client's id has a colon in it."""
    return principal.client_id.partition(":")[0]
