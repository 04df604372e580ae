"""The adapters against real sockets, the venue and the documents that Alpaca publishes."""
