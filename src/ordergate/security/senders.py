"""Whose a token is: bound to its sender when it is issued, and held to that whenever it is used.

In live no token serves whoever has it. In paper a token is bound where its client brought a proof or a
certificate, or is registered as one that must; a bound token is never less than that afterwards.
"""

from __future__ import annotations

from typing import Final

from ordergate.core.access import Principal, Sender
from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Shown
from ordergate.security.clients import Client
from ordergate.security.dpop import NonceWanted, ProofRefused, Proofs, Used
from ordergate.security.oauth_requests import Answer, Received, Rejected, error
from ordergate.security.profile import Profile

NOT_BOUND: Final = Refusal(Code.UNAUTHENTICATED, "the token is not bound to its sender")
AS_BOUND: Final = Refusal(
    Code.PROOF_INVALID, "the token is not bound to a key; send it as a Bearer credential"
)
AS_BEARER: Final = Refusal(Code.PROOF_INVALID, "the token is bound to a key; send it as a DPoP credential")
NO_PROOF: Final = Refusal(Code.PROOF_INVALID, "send one proof in the header DPoP")
ANOTHER_CERTIFICATE: Final = Refusal(
    Code.UNAUTHENTICATED, "the token is bound to a certificate that this connection has not proven"
)


class Senders:
    """One per process: it holds the nonces and the proofs that were used."""

    def __init__(self, profile: Profile, proofs: Proofs) -> None:
        self.proofs = proofs
        self._must_bind = profile.env is Env.LIVE

    def of_request(self, received: Received) -> str | None:
        """What a token asked for by this request is to be bound to. Raises Rejected."""
        proof = received.headers.get("dpop")
        if proof is None:
            return None if received.certificate is None else f"x5t:{received.certificate}"
        try:
            jkt = self.proofs.check(proof, method=received.method, path=received.path)
        except NonceWanted as wanted:
            raise Rejected(self._told("use_dpop_nonce", str(wanted))) from None
        except ProofRefused as refused:
            raise Rejected(self._told("invalid_dpop_proof", str(refused))) from None
        return f"jkt:{jkt}"

    def fits(self, client: Client, bound_to: str | None) -> str | None:
        """None where the client may have a token bound like this, or what it must bring."""
        if client.sender is Sender.DPOP and not _is_key(bound_to):
            return "this client's tokens are bound to a key: send a proof in the header DPoP"
        if client.sender is Sender.MTLS and (bound_to is None or _is_key(bound_to)):
            return "this client's tokens are bound to a certificate: connect with it, and send no proof"
        if self._must_bind and bound_to is None:
            return "tokens are bound to their sender here: send a proof in the header DPoP"
        return None

    def check(self, principal: Principal, token: str, shown: Shown) -> Refusal | None:
        """None where who sent the token may use it."""
        bound_to = principal.bound_to
        if bound_to is None:
            if self._must_bind:
                return NOT_BOUND
            return AS_BOUND if shown.dpop else None
        if not _is_key(bound_to):
            if shown.dpop:
                return AS_BOUND
            return None if bound_to == f"x5t:{shown.certificate}" else ANOTHER_CERTIFICATE
        if not shown.dpop:
            return AS_BEARER
        if shown.proof is None:
            return NO_PROOF
        owner = f"{principal.tenant} {principal.client_id}"
        used = Used(token=token, jkt=bound_to.removeprefix("jkt:"), owner=owner)
        try:
            self.proofs.check(
                shown.proof, method=shown.method, path=shown.path, used=used, origin=shown.origin
            )
        except NonceWanted as wanted:
            return Refusal(Code.PROOF_NONCE, str(wanted))
        except ProofRefused as refused:
            return Refusal(Code.PROOF_INVALID, str(refused))
        return None

    def _told(self, code: str, why: str) -> Answer:
        return error(400, code, why, dpop_nonce=self.proofs.nonce())


def confirmation(bound_to: str | None) -> dict[str, str] | None:
    """The claim `cnf` of a token that is bound like this."""
    if bound_to is None:
        return None
    kind, _, thumbprint = bound_to.partition(":")
    return {"jkt" if kind == "jkt" else "x5t#S256": thumbprint}


def _is_key(bound_to: str | None) -> bool:
    return bound_to is not None and bound_to.startswith("jkt:")
