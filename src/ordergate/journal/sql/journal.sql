-- What the journal is asked, on connections of its own: reading never waits for the writer.

-- name: stream_head
select head, last_hash from account_stream where account = $1

-- name: link_at
select hash from event where account = $1 and seq = $2

-- name: read_events
select seq, kind, version, order_id, at, correlation,
    convert_to(body, 'UTF8') as body, convert_to(frame, 'UTF8') as frame, hash
from event where account = $1 and seq > $2 and seq <= $3
order by seq

-- name: events_beyond
-- Events after the head that the stream admits to.
select count(*) from event where account = $1 and seq > $2

-- name: receipt
select fingerprint, account, order_id, status, body, at from receipt
where env = $1 and tenant = $2 and client_id = $3 and route = $4 and key = $5

-- name: key_digests
-- All in one value, eight bytes each: a row for each of a million keys would be a second of a start.
select string_agg(int8send(digest), ''::bytea) as digests from receipt where account = $1

-- name: history
-- An order's events, each with the seal before it, so that each can be proven by itself.
select e.account, e.seq, e.kind, e.version, e.order_id, e.at, e.correlation,
    convert_to(e.body, 'UTF8') as body, convert_to(e.frame, 'UTF8') as frame, e.hash, p.hash as prior
from event as e left join event as p on p.account = e.account and p.seq = e.seq - 1
where e.order_id = $1
order by e.account, e.seq

-- name: adopted
select order_id from event
where account = $1 and kind = 'order_adopted' and body::jsonb ->> 'broker_order_id' = $2
order by seq limit 1

-- name: accounts
select account from account_stream where head > 0 order by account

-- name: accounts_of_events
-- Accounts by what is written, streams that were taken away included: one index step per account.
with recursive step as (
    (select account from event order by account limit 1)
    union all
    select (select e.account from event as e where e.account > s.account order by e.account limit 1)
    from step as s where s.account is not null
)
select account from step where account is not null
union
select account from account_stream where head > 0
order by account

-- name: forget_answers
-- Answers of keys used long ago; the keys stay, and so never buy anything again.
with forgotten as (
    update receipt set body = null where at < $1 and body is not null returning 1
)
select count(*) from forgotten
