-- What a check of the read tables needs: a stream's head and every row, as of one moment.

-- name: heads
select account, head from account_stream order by account

-- name: head
select head from account_stream where account = $1

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
