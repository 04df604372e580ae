"""The venue: its book against a naive one, its tapes against themselves, its ledger and its memory."""
