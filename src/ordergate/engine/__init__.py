"""The imperative shell: carries commands to brokers and brokers' news into the journal.

Its rooms, bottom-up: `accounts` holds each account in memory; `worth`, `desks` and `answering` serve whoever
decides; `stopping` stops; `wire` speaks and listens; `limits` and `reconciling` keep what orders are judged
by and the books true; `commands` is where clients come in. `node` puts them together.
"""
