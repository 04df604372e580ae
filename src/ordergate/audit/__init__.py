"""Proof of what happened: a Merkle tree over every record, signed checkpoints, and what is told to others."""
