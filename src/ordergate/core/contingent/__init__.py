"""Contingent orders: groups of orders of which one waits for, or rules out, another."""
