"""A brokerage in this process: the twin of the real adapters, for simulation and engine tests."""
