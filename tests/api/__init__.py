"""The public face: REST, the stream, and the document that describes both."""
