"""The command line: people and scripts on one side, the gateway's own API on the other."""
