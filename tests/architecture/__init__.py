"""The architecture as tests: what may import what, and the house rules no type checker knows."""
