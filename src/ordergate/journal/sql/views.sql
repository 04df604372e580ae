-- The read tables. Bodies are the exact bytes that were written with the event.

-- name: shows
select account from account_stream where account = $1

-- name: order
select convert_to(body, 'UTF8') as body from order_view where account = any($1::text[]) and id = $2

-- name: order_by_client_id
select convert_to(body, 'UTF8') as body from order_view
where account = $1 and client_order_id = $2

-- name: orders_newest
-- Pages are read account by account from the index and merged: a page costs a page, whatever the history.
select o.id, convert_to(o.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    select id, body from order_view
    where account = a.account and id < $2
        and ($4::text is null or status = $4) and ($5::boolean is null or open = $5)
        and ($6::text is null or symbol = $6) and ($7::text is null or client_order_id = $7)
    order by id desc limit $3
) as o order by o.id desc limit $3

-- name: orders_open
select o.id, convert_to(o.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    select id, body from order_view
    where account = a.account and open and id < $2
        and ($4::text is null or status = $4) and ($5::boolean is null or open = $5)
        and ($6::text is null or symbol = $6) and ($7::text is null or client_order_id = $7)
    order by id desc limit $3
) as o order by o.id desc limit $3

-- name: orders_of_symbol
select o.id, convert_to(o.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    select id, body from order_view
    where account = a.account and symbol = $6 and id < $2
        and ($4::text is null or status = $4) and ($5::boolean is null or open = $5)
        and ($7::text is null or client_order_id = $7)
    order by id desc limit $3
) as o order by o.id desc limit $3

-- name: orders_of_status
-- Open ones from the index of open orders, closed ones from the index of how they closed.
select o.id, convert_to(o.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    (select id, body from order_view
    where account = a.account and open and status = $4 and id < $2
        and ($5::boolean is null or open = $5)
        and ($6::text is null or symbol = $6) and ($7::text is null or client_order_id = $7)
    order by id desc limit $3)
    union all
    (select id, body from order_view
    where account = a.account and closed_as = $4 and id < $2
        and ($5::boolean is null or open = $5)
        and ($6::text is null or symbol = $6) and ($7::text is null or client_order_id = $7)
    order by id desc limit $3)
) as o order by o.id desc limit $3

-- name: orders_of_client_id
select o.id, convert_to(o.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    select id, body from order_view
    where account = a.account and client_order_id = $7 and id < $2
        and ($4::text is null or status = $4) and ($5::boolean is null or open = $5)
        and ($6::text is null or symbol = $6)
    order by id desc limit $3
) as o order by o.id desc limit $3

-- name: order_events
select convert_to(frame, 'UTF8') as body from event
where order_id = $2 and account = any($1::text[]) order by account, seq limit 10000

-- name: executions_newest
select key, convert_to(body, 'UTF8') as body from execution_view
where account = $1 order by seq desc, key desc limit $2

-- name: executions_after
select n.key, convert_to(n.body, 'UTF8') as body
from execution_view as a cross join lateral (
    select key, seq, body from execution_view
    where account = $1 and (seq, key) < (a.seq, a.key)
    order by seq desc, key desc limit $2
) as n
where a.account = $1 and a.key = $3
order by n.seq desc, n.key desc

-- name: positions
select convert_to(body, 'UTF8') as body from position_view where account = $1 order by key

-- name: balances
select convert_to(body, 'UTF8') as body from balance_view where account = $1 order by key

-- name: breaks
select b.key, convert_to(b.body, 'UTF8') as body
from unnest($1::text[]) as a (account) cross join lateral (
    select key, body from break_view
    where account = a.account and key < $2
        and ($4::text is null or body::jsonb ->> 'state' = $4)
        and ($5::text is null or body::jsonb ->> 'severity' = $5)
        and ($6::boolean is null or (body::jsonb ->> 'state' in ('open', 'assigned')) = $6)
    order by key desc limit $3
) as b order by b.key desc limit $3

-- name: one_break
select convert_to(body, 'UTF8') as body from break_view where account = any($1::text[]) and key = $2

-- name: snapshot
-- One statement sees one moment: head and tables belong together.
select s.stream_id, s.head,
    array(select convert_to(body, 'UTF8') from order_view where account = $1 and open order by id) as orders,
    array(select convert_to(body, 'UTF8') from position_view where account = $1 order by key) as positions,
    array(select convert_to(body, 'UTF8') from balance_view where account = $1 order by key) as balances
from account_stream as s where s.account = $1

-- name: frames
select seq, kind, convert_to(frame, 'UTF8') as frame from event
where account = $1 and seq > $2 and seq <= $3 order by seq limit $4
