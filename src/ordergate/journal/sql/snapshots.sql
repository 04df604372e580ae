-- Snapshots of what accounts were folded to. Never on the writer's connection.

-- name: snapshot
-- With the seal of the event that it was made at, where there is such an event.
select n.epoch, n.seq, n.rules, n.seal, n.body, e.hash
from account_snapshot as n left join event as e on e.account = n.account and e.seq = n.seq
where n.account = $1

-- name: keep_snapshot
-- Only by the account's owner, only of what is durable, and never an older one over a newer one. Who owned
-- the account while its head passed `seq` wrote every event up to it, or read it: the snapshot is of these.
insert into account_snapshot as n (account, epoch, seq, rules, seal, body)
select s.account, s.epoch, $3, $4, $5, $6
from account_stream as s where s.account = $1 and s.epoch = $2 and s.head >= $3
on conflict (account) do update set
    epoch = excluded.epoch, seq = excluded.seq, rules = excluded.rules, seal = excluded.seal, body = excluded.body
    where (n.epoch, n.seq) <= (excluded.epoch, excluded.seq)
returning seq

-- name: drop_snapshots
with dropped as (delete from account_snapshot returning 1)
select count(*) from dropped
