"""The WebSocket: a pure conversation, the live feeds of accounts, and the glue to a socket."""
