"""The suite. A test name is a sentence; nothing here needs a network, a credential or luck."""
