-- What the audit asks and keeps, on a connection of its own: the writer never waits for it.

-- name: heads
select account, head from account_stream where head > 0

-- name: taken
select account, max(upto_seq) as upto from audit_range where first_index < $1 group by account

-- name: seals
select hash from event where account = $1 and seq > $2 and seq <= $3 order by seq

-- name: ranges
select first_index, account, after_seq, upto_seq from audit_range
where first_index >= $1 order by first_index limit $2

-- name: newest
select size, root, frontier, note, at from audit_checkpoint order by size desc limit 1

-- name: at_size
select size, root, frontier, note, at from audit_checkpoint where size = $1

-- name: checkpoints
select size, note from audit_checkpoint where size > $1 order by size limit $2

-- name: keep_range
insert into audit_range (first_index, account, after_seq, upto_seq) values ($1, $2, $3, $4)

-- name: keep_checkpoint
insert into audit_checkpoint (size, root, frontier, note, at) values ($1, $2, $3, $4, $5)

-- name: records
select seq, kind, version, order_id, at, correlation,
    convert_to(body, 'UTF8') as body, convert_to(frame, 'UTF8') as frame, hash
from event where account = $1 and seq > $2 and seq <= $3 order by seq
