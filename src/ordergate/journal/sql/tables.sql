-- What a check of the read tables needs: a stream's head and every row, as of one moment.

-- name: heads
select account, head from account_stream order by account

-- name: head
select head from account_stream where account = $1

-- Events by what a person has in hand. An order leads to all of its life, a correlation id to what one request did.
-- name: find
select account, seq, at, kind, order_id, correlation from event
where order_id = $1 or correlation = $1 order by account, seq limit $2

-- name: orders
select id as key, convert_to(body, 'UTF8') as body from order_view where account = $1

-- name: executions
select key, convert_to(body, 'UTF8') as body from execution_view where account = $1

-- name: positions
select key, convert_to(body, 'UTF8') as body from position_view where account = $1

-- name: balances
select key, convert_to(body, 'UTF8') as body from balance_view where account = $1

-- name: breaks
select key, convert_to(body, 'UTF8') as body from break_view where account = $1
