"""A whole gateway on virtual time, against twins that fail by plan, judged by what really happened.

One seed is one run: the real engine, the real journal writer and the real stream hub, over a
database, a broker and clients that live in memory. Nothing here sleeps, opens a socket or starts a
thread; the same seed gives the same run, to the byte.
"""
