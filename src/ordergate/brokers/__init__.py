"""One folder per brokerage, the same rooms in each; none knows another, only wiring names them."""
