"""What must be true of every run, one small checker for each, and a table of all of them.

A checker reads the journal as it was committed, the venue's own ledger, the bytes that left and the
answers that clients heard. None of them asks the engine.
"""
