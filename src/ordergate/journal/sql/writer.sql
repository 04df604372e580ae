-- What the one writer says. Its session holds the fence for as long as it lives.

-- name: append_batch
-- Everything that waits, of all accounts, in one statement: one round trip, one commit, one fsync.
-- All or nothing: an account that is not where its writer believes it to be undoes the whole batch,
-- and so does a key, or a client's own label, that is taken (unique indexes).
with advanced as (
    update account_stream as s set head = u.head, last_hash = u.last_hash
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
        as u (account, epoch, expected, head, last_hash)
    where s.account = u.account and s.epoch = u.epoch and s.head = u.expected
    returning s.account
), events as (
    insert into event (account, seq, kind, version, order_id, at, correlation, body, frame, hash)
    select account, seq, kind, version, order_id, at, correlation,
        convert_from(body, 'UTF8'), convert_from(frame, 'UTF8'), hash
    from unnest($6::text[], $7::bigint[], $8::text[], $9::integer[], $10::text[], $11::timestamptz[],
        $12::text[], $13::bytea[], $14::bytea[], $15::bytea[])
        as e (account, seq, kind, version, order_id, at, correlation, body, frame, hash)
), orders as (
    insert into order_view as o (account, id, client_order_id, symbol, status, open, accepted_at, body)
    select account, id, client_order_id, symbol, status, open, accepted_at, convert_from(body, 'UTF8')
    from unnest($16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::boolean[],
        $22::timestamptz[], $23::bytea[])
        as n (account, id, client_order_id, symbol, status, open, accepted_at, body)
    on conflict (account, id) do update set client_order_id = excluded.client_order_id, symbol = excluded.symbol,
        status = excluded.status, open = excluded.open, accepted_at = excluded.accepted_at, body = excluded.body
), executions as (
    insert into execution_view (account, key, seq, body)
    select account, key, seq, convert_from(body, 'UTF8')
    from unnest($24::text[], $25::text[], $26::bigint[], $27::bytea[]) as n (account, key, seq, body)
    on conflict (account, key) do update set body = excluded.body
), positions as (
    insert into position_view (account, key, body)
    select account, key, convert_from(body, 'UTF8')
    from unnest($28::text[], $29::text[], $30::bytea[]) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), balances as (
    insert into balance_view (account, key, body)
    select account, key, convert_from(body, 'UTF8')
    from unnest($31::text[], $32::text[], $33::bytea[]) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), breaks as (
    insert into break_view (account, key, body)
    select account, key, convert_from(body, 'UTF8')
    from unnest($34::text[], $35::text[], $36::bytea[]) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), receipts as (
    insert into receipt
        (env, tenant, client_id, route, key, digest, fingerprint, account, order_id, status, body, at)
    select env, tenant, client_id, route, key, digest, fingerprint, account, order_id, status, body, at
    from unnest($37::text[], $38::text[], $39::text[], $40::text[], $41::text[], $42::bigint[], $43::bytea[],
        $44::text[], $45::text[], $46::integer[], $47::text[], $48::timestamptz[])
        as r (env, tenant, client_id, route, key, digest, fingerprint, account, order_id, status, body, at)
)
select journal_require_all(count(*), cardinality($1::text[])) from advanced

-- name: take_account
-- A new owner: the epoch only grows. The first owner of an account begins its stream.
insert into account_stream as s (account, epoch, head, last_hash, stream_id)
values ($1, 1, 0, $2, gen_random_uuid()::text)
on conflict (account) do update set epoch = s.epoch + 1
returning epoch, head, last_hash, stream_id

-- name: account_stands
select epoch, head from account_stream where account = $1

-- name: hash_at
-- The seal at one place, to learn whether a unit whose answer was lost is there: same place, same seal.
select hash from event where account = $1 and seq = $2

-- name: try_fence
select pg_try_advisory_lock($1, $2)

-- name: fence_holder
-- Who holds the fence of this database's journal.
select a.pid, a.backend_start, a.application_name
from pg_locks as l join pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid
    and l.database = (select oid from pg_database where datname = current_database())

-- name: own_backend
select pid, backend_start, application_name from pg_stat_activity where pid = pg_backend_pid()

-- name: end_backend
-- Only the session meant: a process id is used again, its start is not.
select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2

-- name: server_settings
select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('data_checksums') as data_checksums, pg_is_in_recovery() as in_recovery

-- name: claim_env
-- The first gateway names the environment of this database; it is never changed.
insert into journal (env) values ($1) on conflict (only_one) do nothing

-- name: journal_env
select env from journal
