"""The two ceremonies of WebAuthn (level 2): a passkey is made, and a passkey is shown.

py_webauthn checks what an authenticator said; here is said what must be: the issuer's own host and origin,
and that its owner was there and proved it to the authenticator, by a finger, a face or a PIN. What a
counter means is decided where passkeys are kept. Nothing is asked about who made an authenticator.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import webauthn
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_cbor,
    parse_client_data_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ordergate.core.ids import Env
from ordergate.security.passkeys import CREDENTIAL_BYTES_MAX, PUBLIC_KEY_BYTES_MAX, Passkey
from ordergate.security.profile import Profile

CHALLENGE_BYTES: Final = 32
HANDLE_BYTES: Final = 32
CHALLENGE_S: Final = 120

ALGORITHMS: Final = (Algorithm.ECDSA_SHA_256, Algorithm.EDDSA, Algorithm.RSASSA_PKCS1_v1_5_SHA_256)
RSA_BITS: Final = range(2_048, 4_097)

_WHY_LENGTH_MAX: Final = 160
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# What the library lets through of what goes wrong inside it.
_ODD: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MALFORMED: Final = (WebAuthnException, UnsupportedAlgorithm, *_ODD)

Text = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]*\Z", max_length=12_000)]


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a passkey is for: the host of an issuer, at exactly one origin."""

    env: Env
    rp_id: str
    origin: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A new passkey, as its authenticator described it."""

    credential_id: str
    public_key: bytes
    sign_count: int
    backed_up: bool


class Unproven(msgspec.Struct, frozen=True):
    """`why` is for the log, and for nobody who asks."""

    why: str


class _Response(msgspec.Struct, rename="camel"):
    client_data_json: Text = msgspec.field(name="clientDataJSON")
    attestation_object: Text | None = None
    authenticator_data: Text | None = None
    signature: Text | None = None
    user_handle: Text | None = None


class _Credential(msgspec.Struct, rename="camel"):
    """What a page of ours sends of what the browser has; whatever else there is, is not looked at."""

    id: Text
    raw_id: Text
    type: str
    response: _Response


def party_of(profile: Profile) -> Party | None:
    """None where browsers make no passkeys: the issuer is an address, and passkeys are for names."""
    parts = urlsplit(profile.issuer)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return Party(env=profile.env, rp_id=host, origin=f"{parts.scheme}://{host}{port}")


def to_make(party: Party, challenge: bytes, *, user_id: str, handle: bytes, known: list[str]) -> str:
    """What the page asks the authenticator for; JSON. `known` are the person's own, which are not made twice.

    Nobody is told before a login who has which passkey, so it is the passkey that names its owner, and the
    authenticator has to keep it (a resident key).
    """
    name = f"{user_id} ({party.env.value})"
    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name="Ordergate",
        user_name=name,
        user_id=handle,
        challenge=challenge,
        timeout=CHALLENGE_S * 1_000,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
        supported_pub_key_algs=list(ALGORITHMS),
    )
    return webauthn.options_to_json(options)


def to_show(party: Party, challenge: bytes) -> str:
    """What the page asks the authenticator for; JSON. It names nobody."""
    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        timeout=CHALLENGE_S * 1_000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def made(party: Party, said: str, challenge: bytes) -> Made | Unproven:
    """The passkey that an authenticator has made at our page, for this challenge."""
    try:
        credential = msgspec.json.decode(said, type=_Credential)
        if not _is_plain(parse_cbor(base64url_to_bytes(credential.response.attestation_object or ""))):
            return Unproven("an attestation was sent, and none was asked for")
        found = webauthn.verify_registration_response(
            credential=_plain(credential, attestationObject=credential.response.attestation_object),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        _of_our_page(credential)
        if bytes_to_base64url(found.credential_id) != credential.id:
            return Unproven("two credentials are named")
        if len(found.credential_id) > CREDENTIAL_BYTES_MAX:
            return Unproven("the credential's id is too long")
        if not _is_fit(found.credential_public_key):
            return Unproven("the key is none that is accepted")
    except _MALFORMED as error:
        return _unproven(error)
    return Made(
        credential_id=credential.id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        backed_up=found.credential_backed_up,
    )


def named(said: str) -> str:
    """Which passkey somebody says they show; empty for what says nothing. Nothing has been checked."""
    try:
        return msgspec.json.decode(said, type=_Credential).id
    except ValueError:
        return ""


def shown(party: Party, said: str, challenge: bytes, passkey: Passkey) -> int | Unproven:
    """How often this passkey has been used, when it was shown at our page for this challenge."""
    try:
        credential = msgspec.json.decode(said, type=_Credential)
        response = credential.response
        found = webauthn.verify_authentication_response(
            credential=_plain(
                credential, authenticatorData=response.authenticator_data, signature=response.signature
            ),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            # Whether it has grown is asked where it is kept, once the signature is known to be good.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        _of_our_page(credential)
        if base64url_to_bytes(response.user_handle or "") != passkey.user_handle:
            return Unproven("somebody else's passkey")
    except _MALFORMED as error:
        return _unproven(error)
    return found.new_sign_count


def _plain(credential: _Credential, **told: str | None) -> dict[str, Any]:
    return {
        "id": credential.id,
        "rawId": credential.raw_id,
        "type": credential.type,
        "response": {"clientDataJSON": credential.response.client_data_json, **told},
    }


def _of_our_page(credential: _Credential) -> None:
    """ValueError where our page was inside another's."""
    client_data = parse_client_data_json(base64url_to_bytes(credential.response.client_data_json))
    if client_data.cross_origin:
        raise ValueError("our page was inside another")


def _is_plain(attestation: object) -> bool:
    """Whether nobody vouches for it but its own key, and what the library takes for bytes are bytes.

    It would take a number for how many zeros somebody wants.
    """
    match attestation:
        case {"fmt": "none", "authData": bytes(), "attStmt": dict(statement)}:
            return not statement
        case {"fmt": "packed", "authData": bytes(), "attStmt": {"alg": int(), "sig": bytes(), **more}}:
            return not more
    return False


def _is_fit(public_key: bytes) -> bool:
    """Whether it is a key at all, and of a strength that goes with its algorithm."""
    if len(public_key) > PUBLIC_KEY_BYTES_MAX:
        return False
    key = decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    if isinstance(key, EllipticCurvePublicKey):
        return isinstance(key.curve, SECP256R1)
    return key.key_size in RSA_BITS if isinstance(key, RSAPublicKey) else True


def _unproven(error: Exception) -> Unproven:
    return Unproven(str(error)[:_WHY_LENGTH_MAX] or type(error).__name__)
