"""Which key may sign the heads of one log: follows each change of keys, in the order of the heads. Pure.

A key changes at a checkpoint that names the next key and that both have signed. From there on the old
key's word counts nothing, whoever has it. Whom to trust first is somebody else's to say.
"""

from __future__ import annotations

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
