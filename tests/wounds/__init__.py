"""What hurt others, tried on us: each test is named after the peer and the number of what happened there.

`docs/peers-wounds.md` is the table; `test_the_table.py` holds the two together.
"""
