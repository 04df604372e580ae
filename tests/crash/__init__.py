"""Processes that die in the middle of everything, and what must be true afterwards."""
