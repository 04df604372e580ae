"""The engine over twins of everything outside it, on a clock that the test moves."""
