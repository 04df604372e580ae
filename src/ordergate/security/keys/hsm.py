"""Keys in a hardware module, by PKCS#11: they are made inside it, sensitive, and never come out.

The module is spoken to by one thread, in one session, which is opened anew after a fault. An error of the
module says little (one vendor's wrong tag is another's general error), so while unwrapping each means no.
The library is loaded where this kind of keys is configured, and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pkcs11
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from ordergate.core.ids import Env
from ordergate.ports.keys import (
    Context,
    DataKey,
    KeysRefused,
    KeysUnavailable,
    KeyVersion,
    Purpose,
    Wrapped,
)
from ordergate.security.keys import wrapping
from ordergate.telemetry.secret import Secret

TIMEOUT_S: Final = 5.0
WAITING_MAX: Final = 256
TAG_BITS: Final = 128
OFF: Final = "off"
_EDWARDS25519: Final = b"\x13\x0cedwards25519"  # the curve's name as a PrintableString (PKCS#11 3.0)

# Neither taken out of the module, nor shown by it, nor copied to another: whatever the token's own defaults.
_KEPT: Final = {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True, Attribute.COPYABLE: False}
_PRIVATE: Final = {
    Purpose.TOKENS: ObjectClass.PRIVATE_KEY,
    Purpose.AUDIT: ObjectClass.PRIVATE_KEY,
    Purpose.SECRETS: ObjectClass.SECRET_KEY,
}
# What says that the module is away, and nothing about what it was given.
_GONE: Final = (
    pkcs11.exceptions.DeviceError,
    pkcs11.exceptions.DeviceRemoved,
    pkcs11.exceptions.SessionClosed,
    pkcs11.exceptions.SessionHandleInvalid,
    pkcs11.exceptions.TokenNotPresent,
    pkcs11.exceptions.UserNotLoggedIn,
)
_LABEL: Final = re.compile(r"ordergate/(paper|live)/([a-z]+)/v([1-9][0-9]{0,8})/([0-9]{1,12})(/off)?")

T = TypeVar("T")


class HsmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The module's library, and the token of this environment in it."""

    module: Path
    token: str


class HsmKeys:
    """Keeps the promises of `ports.keys.Keys`. The PIN is asked for whenever the module is logged in to."""

    kind = "pkcs11"

    def __init__(
        self, env: Env, settings: HsmSettings, pin: Callable[[], Secret], now: Callable[[], int]
    ) -> None:
        self.env = env
        self._settings = settings
        self._pin = pin
        self._now = now
        self._session: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hsm")
        self._waiting = 0

    async def describe(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        return await self._ask(lambda: self._versions(purpose))

    async def sign(self, purpose: Purpose, version: int, message: bytes) -> bytes:
        if purpose is Purpose.SECRETS:
            raise KeysRefused(f"a key for {purpose} signs nothing")

        def sign() -> bytes:
            key = self._object(purpose, version)
            if purpose is Purpose.AUDIT:
                signature: bytes = key.sign(message, mechanism=Mechanism.EDDSA)
            else:
                signature = key.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA)
            return signature

        return await self._ask(sign)

    async def generate_data_key(self, context: Context) -> DataKey:
        wrapping.check_context(self.env, context)

        def make() -> DataKey:
            plain = self._open().generate_random(wrapping.DATA_KEY_BYTES * 8)
            return DataKey(plain, self._wrap(plain, context))

        return await self._ask(make)

    async def decrypt(self, wrapped: Wrapped, context: Context) -> bytes:
        wrapping.check_wrapped(self.env, self._name(Purpose.SECRETS), wrapped, context)
        return await self._ask(lambda: self._unwrap(wrapped, context))

    async def rewrap(self, wrapped: Wrapped, context: Context) -> Wrapped:
        wrapping.check_wrapped(self.env, self._name(Purpose.SECRETS), wrapped, context)

        def again() -> Wrapped:
            plain = self._unwrap(wrapped, context)
            return wrapped if wrapped.version == self._newest_version() else self._wrap(plain, context)

        return await self._ask(again)

    async def rotate(self, purpose: Purpose) -> KeyVersion:
        def make() -> KeyVersion:
            number = wrapping.next_version([one.version for one in self._versions(purpose)])
            self._generate(purpose, number)
            return self._versions(purpose)[0]

        return await self._ask(make)

    async def disable(self, purpose: Purpose, version: int) -> None:
        def off() -> None:
            versions = self._versions(purpose)
            if not versions or version == versions[0].version:
                raise KeysRefused("the newest version of a key is never disabled: rotate it first")
            for found, its in self._labelled(purpose, _PRIVATE[purpose]):
                if its == version and not found.label.endswith(OFF):
                    found[Attribute.LABEL] = f"{found.label}/{OFF}"

        await self._ask(off)

    async def close(self) -> None:
        with suppress(KeysUnavailable):  # a module that hangs is left to the end of the process
            await self._ask(self._let_go)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, work: Callable[[], T]) -> T:
        """Do it in the module's thread. A module that hangs makes the ones behind it time out as well."""
        if self._waiting >= WAITING_MAX:
            raise KeysUnavailable("too many wait for the hardware module")
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)
        except TimeoutError as error:
            raise KeysUnavailable("the hardware module did not answer in time") from error
        finally:
            self._waiting -= 1

    def _done(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            # The session may be gone with the module's power: the next one who asks opens another.
            self._let_go()
            raise KeysUnavailable(f"the hardware module failed: {type(error).__name__}") from error

    def _let_go(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(pkcs11.PKCS11Error):
                session.close()

    def _open(self) -> Any:
        if self._session is None:
            library = pkcs11.lib(str(self._settings.module))
            token = library.get_token(token_label=self._settings.token)
            try:
                self._session = token.open(user_pin=self._pin().reveal(), rw=True)
            except pkcs11.exceptions.UserAlreadyLoggedIn:  # a login is the process's, not the session's
                self._session = token.open(rw=True)
        return self._session

    def _generate(self, purpose: Purpose, number: int) -> None:
        session = self._open()
        label = f"ordergate/{self.env.value}/{purpose.value}/v{number}/{self._now()}"
        if purpose is Purpose.SECRETS:
            session.generate_key(KeyType.AES, 256, label=label, store=True, template=_KEPT)
            return
        if purpose is Purpose.TOKENS:
            kind, curve, mechanism = KeyType.EC, encode_named_curve_parameters("secp256r1"), None
        else:
            kind, curve = KeyType.EC_EDWARDS, _EDWARDS25519
            mechanism = Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        parameters = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
        parameters.generate_keypair(mechanism=mechanism, label=label, store=True, private_template=_KEPT)

    def _labelled(self, purpose: Purpose, kind: ObjectClass) -> list[tuple[Any, int]]:
        """Objects of the purpose in this environment, with their versions, newest first."""
        found = []
        for one in self._open().get_objects({Attribute.CLASS: kind}):
            match = _LABEL.fullmatch(one.label or "")
            if match is not None and (match[1], match[2]) == (self.env.value, purpose.value):
                found.append((one, int(match[3])))
        return sorted(found, key=lambda each: -each[1])

    def _versions(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        public = {}
        if purpose is not Purpose.SECRETS:
            for one, its in self._labelled(purpose, ObjectClass.PUBLIC_KEY):
                public[its] = _spki(purpose, one)
        return tuple(
            KeyVersion(
                purpose=purpose,
                version=its,
                key=self._name(purpose),
                created_at=int(one.label.split("/")[4]),
                enabled=not one.label.endswith(OFF),
                public=public.get(its),
            )
            for one, its in self._labelled(purpose, _PRIVATE[purpose])
        )

    def _object(self, purpose: Purpose, version: int) -> Any:
        for one, its in self._labelled(purpose, _PRIVATE[purpose]):
            if its == version and not one.label.endswith(OFF):
                return one
        raise KeysRefused(f"there is no usable version {version} of the key for {purpose}")

    def _newest_version(self) -> int:
        for one, its in self._labelled(Purpose.SECRETS, ObjectClass.SECRET_KEY):
            if not one.label.endswith(OFF):
                return its
        raise KeysRefused("there is no key for secrets yet: rotate it once")

    def _wrap(self, plain: bytes, context: Context) -> Wrapped:
        version, name = self._newest_version(), self._name(Purpose.SECRETS)
        nonce = self._open().generate_random(wrapping.NONCE_BYTES * 8)
        aad = wrapping.associated_data(name, version, context)
        sealed = self._object(Purpose.SECRETS, version).encrypt(
            plain, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, aad, TAG_BITS)
        )
        return Wrapped(key=name, version=version, algorithm=wrapping.AES_GCM, blob=nonce + sealed)

    def _unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        key = self._object(Purpose.SECRETS, wrapped.version)
        aad = wrapping.associated_data(wrapped.key, wrapped.version, context)
        nonce, sealed = wrapped.blob[: wrapping.NONCE_BYTES], wrapped.blob[wrapping.NONCE_BYTES :]
        try:
            plain: bytes = key.decrypt(
                sealed, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, aad, TAG_BITS)
            )
        except _GONE:
            raise
        except pkcs11.PKCS11Error as error:
            raise KeysRefused(wrapping.DECRYPT_FAILED) from error
        return plain

    def _name(self, purpose: Purpose) -> str:
        return f"{self.kind}/{self.env.value}/{purpose.value}"


def _spki(purpose: Purpose, public: Any) -> bytes:
    if purpose is Purpose.TOKENS:
        encoded: bytes = encode_ec_public_key(public)
        return encoded
    # An OCTET STRING around the 32 bytes, by PKCS#11 3.0.
    point: bytes = public[Attribute.EC_POINT]
    key = Ed25519PublicKey.from_public_bytes(point[-32:])
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
