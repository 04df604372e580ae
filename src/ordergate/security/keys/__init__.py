"""Signing keys: the ring that signs and verifies, and where the private halves live."""
