"""The rulebook judged: every function is a value in, a value out, so every test is a call."""
