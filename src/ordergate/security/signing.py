"""Signs access tokens, and rotates what signs them.

The public half of a new key is published before the first token is signed with it. The private half is the
key service's; here is only which version signs, and until when the ones before it verify.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any, Final

from joserfc.jwk import ECKey

from ordergate.core.access import Scope
from ordergate.ports.clock import Clock
from ordergate.ports.keys import Keys, KeysRefused, KeysUnavailable, KeyVersion, Purpose, newest
from ordergate.security.clients import Client, PublishedKey
from ordergate.security.directory import Directory
from ordergate.security.persons import Grant, Person
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.senders import confirmation
from ordergate.telemetry import failpoints, log

ALGORITHM: Final = Purpose.TOKENS.algorithm
# How long others may keep our key set before they look again (RFC 9111 max-age of the JWKS answer).
JWKS_MAX_AGE_S: Final = 300
ROTATE_AFTER_S: Final = 30 * 24 * 3600
SIGN_S_MAX: Final = 6.0
ANNOUNCE_S: Final = 24 * 3600
"""How long a new key is published before it signs."""

_log = log.logger("security")


class Signer:
    """One per process. `mint` is for worker threads; everything else runs on the event loop."""

    def __init__(self, profile: Profile, keys: Keys, directory: Directory, clock: Clock) -> None:
        if keys.env is not profile.env or directory.env is not profile.env:
            raise ValueError("profile, keys and directory must be of one environment")
        self._profile = profile
        self._keys = keys
        self._directory = directory
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signing: tuple[KeyVersion, PublishedKey] | None = None
        self._coming: KeyVersion | None = None

    @property
    def kid(self) -> str:
        """The id of the key that signs."""
        return self._current()[1].kid

    async def publish(self) -> None:
        """Let every verifier know the key that signs, made on first use; call it once before signing.

        Before one that is announced the one before it signs. What no verifier knows yet is of a rotation that
        died: it is ended, and the older versions get their end.
        """
        self._loop = asyncio.get_running_loop()
        versions = await self._keys.describe(Purpose.TOKENS)
        made = newest(versions) or await self._keys.rotate(Purpose.TOKENS)
        known = {key.kid for key in self._directory.published_keys() if key.retires_at is None}
        standing = [one for one in versions if one.enabled and published_key(one, None).kid in known]
        if made not in standing:
            await self._adopt(made, versions, retires_at=self._now() + self._overlap_s)
            return
        self._signing = (standing[-1], published_key(standing[-1], None))
        self._coming = None if made is standing[-1] else made

    async def rotate(self, *, emergency: bool = False) -> None:
        """Sign with a new key. In an emergency the old ones stop verifying, and signing, at once."""
        before = await self._keys.describe(Purpose.TOKENS)
        made = await self._next_key()
        retires_at = self._now() + (0 if emergency else self._overlap_s)
        await self._adopt(made, before, retires_at=retires_at)
        if emergency:
            for old in before:
                await self._keys.disable(Purpose.TOKENS, old.version)
        _log.info("signing_key.rotated", kid=self.kid, emergency=emergency)

    async def keep_young(self) -> None:
        """Announce the next key a day ahead, and sign with it when the current one has signed long enough."""
        now, coming = self._now(), self._coming
        age = now - self._current()[0].created_at
        if age >= ROTATE_AFTER_S - ANNOUNCE_S and coming is None:
            made = await self._next_key()
            announced = published_key(made, None)
            await self._directory.put_keys((announced,))
            self._coming = made
            _log.info("signing_key.announced", kid=announced.kid)
        elif age >= ROTATE_AFTER_S and coming is not None and now - coming.created_at >= ANNOUNCE_S:
            versions = await self._keys.describe(Purpose.TOKENS)
            await self._adopt(coming, versions, retires_at=now + self._overlap_s)
            _log.info("signing_key.rotated", kid=self.kid, emergency=False)

    async def follow(self) -> None:
        """Sign with the newest key where somebody else, such as the command line, has rotated."""
        published = {key.kid: key for key in self._directory.published_keys()}
        own = published.get(self.kid)
        if own is None or own.retires_at is not None:
            await self.publish()

    def jwks(self) -> bytes:
        """The key set as a document: every key that may have signed a token still alive."""
        now = self._now()
        keys = [json.loads(k.jwk) for k in self._directory.published_keys() if not retired(k.retires_at, now)]
        return json.dumps({"keys": keys}, separators=(",", ":")).encode()

    def mint(self, client: Client, scopes: frozenset[Scope], bound_to: str | None = None) -> str:
        """An access token as of RFC 9068 for these scopes of the client, bound to its sender.

        For a worker thread. Raises KeysUnavailable, KeysRefused and StoreUnavailable.
        """
        own = {"sub": client.client_id, "tenant": client.tenant, "acct": sorted(client.accounts)}
        return self._minted(client, scopes, bound_to, own)

    def mint_for(
        self, person: Person, client: Client, scopes: frozenset[Scope], grant: Grant, bound_to: str | None
    ) -> str:
        """The same for what a client does in a person's name; `sid` names the login it comes from."""
        own = {
            "sub": person.user_id,
            "tenant": person.tenant,
            "acct": sorted(person.accounts & client.accounts),
            "auth_time": grant.auth_time,
            "acr": grant.acr,
            "sid": grant.grant_id,
        }
        return self._minted(client, scopes & person.scopes, bound_to, own)

    def _minted(
        self, client: Client, scopes: frozenset[Scope], bound_to: str | None, own: dict[str, Any]
    ) -> str:
        assert self._loop is not None, "publish comes first"
        claims = self._claims(client, scopes, bound_to, own)
        signing = asyncio.run_coroutine_threadsafe(self.signed("at+jwt", claims), self._loop)
        try:
            return signing.result(SIGN_S_MAX)
        except TimeoutError as error:
            signing.cancel()
            raise KeysUnavailable("the token was not signed in time") from error

    def _claims(
        self, client: Client, scopes: frozenset[Scope], bound_to: str | None, own: dict[str, Any]
    ) -> dict[str, Any]:
        now = self._now()
        claims: dict[str, Any] = {
            "iss": self._profile.issuer,
            "aud": self._profile.audience,
            "client_id": client.client_id,
            "scope": " ".join(sorted(scope.value for scope in scopes)),
            "iat": now,
            "exp": now + self._profile.lifetime_s,
            "jti": secrets.token_urlsafe(16),
            "env": self._profile.env.value,
            **own,
        }
        cnf = confirmation(bound_to)
        if cnf is not None:
            claims["cnf"] = cnf
        return claims

    async def signed(self, kind: str, claims: dict[str, Any]) -> str:
        """A JWT of this type, signed by the current key.

        Where that was ended from elsewhere, in an emergency, its successor signs at once, and not only after
        the next look. Raises KeysUnavailable, KeysRefused and StoreUnavailable.
        """
        try:
            return await self._signed(kind, claims)
        except KeysRefused:
            await self._directory.refresh()
            await self.follow()
            return await self._signed(kind, claims)

    async def _signed(self, kind: str, claims: dict[str, Any]) -> str:
        version, published = self._current()
        header = {"alg": ALGORITHM, "typ": kind, "kid": published.kid}
        said = f"{_encoded(_compact(header))}.{_encoded(_compact(claims))}"
        signature = await self._keys.sign(Purpose.TOKENS, version.version, said.encode())
        return f"{said}.{_encoded(signature)}"

    async def _next_key(self) -> KeyVersion:
        made = await self._keys.rotate(Purpose.TOKENS)
        failpoints.reach("C14")
        return made

    async def _adopt(self, current: KeyVersion, others: tuple[KeyVersion, ...], *, retires_at: int) -> None:
        later = {
            key.kid
            for key in self._directory.published_keys()
            if key.retires_at is None or key.retires_at > retires_at
        }
        old = (one for one in others if one.version != current.version and one.public is not None)
        ending = [key for key in (published_key(one, retires_at) for one in old) if key.kid in later]
        made = published_key(current, None)
        await self._directory.put_keys((made, *ending))
        self._signing, self._coming = (current, made), None

    def _current(self) -> tuple[KeyVersion, PublishedKey]:
        assert self._signing is not None, "publish comes first"
        return self._signing

    @property
    def _overlap_s(self) -> int:
        """The life of a token, and the time for which others may keep our key set."""
        return self._profile.lifetime_s + SKEW_S + JWKS_MAX_AGE_S

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def published_key(version: KeyVersion, retires_at: int | None) -> PublishedKey:
    """The public half, with its use and algorithm: a verifier needs no guess.

    A key's id is its RFC 7638 thumbprint, so that an id cannot name two keys.
    """
    if version.public is None:
        raise KeysRefused("the key service does not tell the public half of the key for tokens")
    key = ECKey.import_key(version.public)
    kid = key.thumbprint()
    jwk = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return PublishedKey(kid=kid, jwk=text, retires_at=retires_at)


def retired(retires_at: int | None, now: int) -> bool:
    return retires_at is not None and retires_at <= now


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
