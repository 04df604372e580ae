"""The wire faces of the venue: each makes it look like one brokerage, and none adds a rule of trading."""
