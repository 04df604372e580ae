"""Which key may sign the heads of one log: follows each change of keys, in the order of the heads. Pure.

A key changes at a checkpoint that names the next key and that both have signed. From there on the old
key's word counts nothing, whoever has it. Whom to trust first is somebody else's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ordergate.audit import notes
from ordergate.audit.notes import Checkpoint, Malformed


class NotOurs(Malformed):
    """A note that the key in force has not signed."""


class KeyChain:
    """Begins with a verifier key. `key` is the one in force after what was opened so far."""

    def __init__(self, key: str) -> None:
        self.name, self._public = notes.parse_verifier_key(key)
        self.key = key.strip()

    def open(self, note: str) -> Checkpoint:
        """The checkpoint, if the key in force signed it; goes on with the next key. Raises Malformed."""
        parsed = notes.parse_note(note)
        checkpoint = notes.parse_checkpoint(parsed.text)
        if checkpoint.origin != self.name or not notes.is_signed_by(parsed, self.name, self._public):
            raise NotOurs("a checkpoint is not signed by the log's key")
        if checkpoint.next_key is not None:
            name, public = notes.parse_verifier_key(checkpoint.next_key)
            if name != self.name or not notes.is_signed_by(parsed, name, public):
                raise NotOurs("the next key has not signed the checkpoint that names it")
            self.key, self._public = checkpoint.next_key, public
        return checkpoint


class Reigns:
    """The keys of one log, the first one first, as whoever owns them follows its heads.

    What is read may begin later than the log. Where the database was put back to before a change of keys the
    log goes on under a later one that no head names: `anew` has these, and whether a person let it is for
    somebody else to ask. No key comes back.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._chain: KeyChain | None = None
        self.anew: list[str] = []

    def open(self, note: str) -> Checkpoint:
        """The checkpoint, if the key of its time signed it. Raises Malformed."""
        chain = self._chain
        if chain is not None:
            with suppress(NotOurs):
                return chain.open(note)
        for key in self._later(None if chain is None else chain.key):
            begun = KeyChain(key)
            with suppress(NotOurs):
                checkpoint = begun.open(note)
                self._chain = begun
                self.anew += [] if chain is None else [key]
                return checkpoint
        raise NotOurs("not signed by the key of its time")

    def _later(self, than: str | None) -> Sequence[str]:
        """None is later than a key that is not of the log, as a thief of one may name."""
        if than is None:
            return self._keys
        return self._keys[self._keys.index(than) + 1 :] if than in self._keys else ()
