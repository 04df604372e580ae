"""The command line, against a real house."""
