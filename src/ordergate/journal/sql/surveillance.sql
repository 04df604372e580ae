-- What others are told of, kept until they have taken it.

-- name: cursors
select account, seq from notice_cursor

-- name: keep_cursor
insert into notice_cursor as c (account, seq) values ($1, $2)
on conflict (account) do update set seq = greatest(c.seq, excluded.seq)

-- name: last_number
select coalesce(max(number), 0) from drop_copy

-- name: has_copy
select exists (select from drop_copy where account = $1 and seq = $2)

-- name: keep_copy
insert into drop_copy (number, account, seq, kind, at, frame) values ($1, $2, $3, $4, $5, $6)

-- name: keep_delivery
insert into webhook_delivery (endpoint, account, seq, kind, frame, next_at) values ($1, $2, $3, $4, $5, $6)
on conflict (endpoint, account, seq) do nothing

-- name: due
select account, seq, kind, frame, attempts from webhook_delivery
where endpoint = $1 and state = 'waiting' and next_at <= $2
order by next_at, account, seq limit $3

-- name: delivered
update webhook_delivery set state = 'delivered', attempts = attempts + 1, settled_at = $4, why = null
where endpoint = $1 and account = $2 and seq = $3

-- name: failed
update webhook_delivery set attempts = attempts + 1, why = $4, next_at = coalesce($5, next_at),
    state = case when $5::timestamptz is null then 'dead' else 'waiting' end,
    settled_at = case when $5::timestamptz is null then clock_timestamp() end
where endpoint = $1 and account = $2 and seq = $3

-- name: forget
with gone as (
    delete from webhook_delivery
    where (state = 'delivered' and settled_at < $1) or (state = 'dead' and settled_at < $2)
    returning state
)
select count(*) filter (where state = 'delivered') as taken, count(*) filter (where state = 'dead') as dead from gone

-- name: due_to_be_forgotten
select count(*) filter (where state = 'delivered' and settled_at < $1) as taken,
    count(*) filter (where state = 'dead' and settled_at < $2) as dead
from webhook_delivery where state <> 'waiting'

-- name: copies
select number, account, seq, kind, at, frame from drop_copy where number > $1 order by number limit $2

-- name: copies_of
select number, account, seq, kind, at, frame from drop_copy where account = any ($1::text[]) and number > $2
order by number limit $3

-- name: dead
select endpoint, account, seq, kind, attempts, why from webhook_delivery where state = 'dead'
order by settled_at desc limit $1
