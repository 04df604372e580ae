"""Secrets at rest: each under a data key of its own, which only the key service can unwrap."""
