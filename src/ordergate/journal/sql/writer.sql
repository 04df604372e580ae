-- What the one writer says. Its session holds the fence for as long as it lives.

-- name: append_batch
-- Everything that waits, of all accounts, in one statement: one round trip, one commit, one fsync.
-- All or nothing: an account that is not where its writer believes it to be undoes the whole batch,
-- and so does a key, or a client's own label, that is taken (unique indexes).
-- Most columns come as one text each (journal/batch.py): values between separators, numbers and times
-- between commas, seals in hexadecimal, and what others chose as the text form of an array.
with advanced as (
    update account_stream as s set head = u.head, last_hash = decode(u.last_hash, 'hex')
    from unnest(
        string_to_array($1, E'\x1f', E'\x1e'), string_to_array($2, ',')::bigint[],
        string_to_array($3, ',')::bigint[], string_to_array($4, ',')::bigint[], string_to_array($5, ',')
    ) as u (account, epoch, expected, head, last_hash)
    where s.account = u.account and s.epoch = u.epoch and s.head = u.expected
    returning s.account
), events as (
    insert into event (account, seq, kind, version, order_id, at, correlation, body, frame, hash)
    select account, seq, kind, version, order_id, at, correlation, body, frame, decode(hash, 'hex')
    from unnest(
        string_to_array($6, E'\x1f', E'\x1e'), string_to_array($7, ',')::bigint[],
        string_to_array($8, E'\x1f', E'\x1e'), string_to_array($9, ',')::integer[],
        string_to_array($10, E'\x1f', E'\x1e'), string_to_array($11, ',')::timestamptz[], $12::text::text[],
        string_to_array(convert_from($13, 'UTF8'), E'\x1f'),
        string_to_array(convert_from($14, 'UTF8'), E'\x1f'), string_to_array($15, ',')
    ) as e (account, seq, kind, version, order_id, at, correlation, body, frame, hash)
), orders as (
    insert into order_view as o (account, id, client_order_id, symbol, status, open, accepted_at, body)
    select account, id, client_order_id, symbol, status, open, accepted_at, body
    from unnest(
        string_to_array($16, E'\x1f', E'\x1e'), string_to_array($17, E'\x1f', E'\x1e'),
        string_to_array($18, E'\x1f', E'\x1e'), $19::text::text[], string_to_array($20, E'\x1f', E'\x1e'),
        string_to_array($21, ',')::boolean[], string_to_array($22, ',')::timestamptz[],
        string_to_array(convert_from($23, 'UTF8'), E'\x1f')
    ) as n (account, id, client_order_id, symbol, status, open, accepted_at, body)
    on conflict (account, id) do update set client_order_id = excluded.client_order_id, symbol = excluded.symbol,
        status = excluded.status, open = excluded.open, accepted_at = excluded.accepted_at, body = excluded.body
), executions as (
    insert into execution_view (account, key, seq, body)
    select account, key, seq, body
    from unnest(
        string_to_array($24, E'\x1f', E'\x1e'), $25::text::text[], string_to_array($26, ',')::bigint[],
        string_to_array(convert_from($27, 'UTF8'), E'\x1f')
    ) as n (account, key, seq, body)
    on conflict (account, key) do update set body = excluded.body
), positions as (
    insert into position_view (account, key, body)
    select account, key, body
    from unnest(
        string_to_array($28, E'\x1f', E'\x1e'), $29::text::text[],
        string_to_array(convert_from($30, 'UTF8'), E'\x1f')
    ) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), balances as (
    insert into balance_view (account, key, body)
    select account, key, body
    from unnest(
        string_to_array($31, E'\x1f', E'\x1e'), $32::text::text[],
        string_to_array(convert_from($33, 'UTF8'), E'\x1f')
    ) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), breaks as (
    insert into break_view (account, key, body)
    select account, key, body
    from unnest(
        string_to_array($34, E'\x1f', E'\x1e'), $35::text::text[],
        string_to_array(convert_from($36, 'UTF8'), E'\x1f')
    ) as n (account, key, body)
    on conflict (account, key) do update set body = excluded.body
), receipts as (
    insert into receipt
        (env, tenant, client_id, route, key, digest, fingerprint, account, order_id, status, body, at)
    select env, tenant, client_id, route, key, digest, decode(fingerprint, 'hex'), account, order_id, status, body, at
    from unnest(
        string_to_array($37, E'\x1f', E'\x1e'), $38::text::text[], $39::text::text[],
        string_to_array($40, E'\x1f', E'\x1e'), string_to_array($41, E'\x1f', E'\x1e'),
        string_to_array($42, ',')::bigint[], string_to_array($43, ','),
        string_to_array($44, E'\x1f', E'\x1e'), string_to_array($45, E'\x1f', E'\x1e'),
        string_to_array($46, ',')::integer[], string_to_array($47, E'\x1f', E'\x1e'),
        string_to_array($48, ',')::timestamptz[]
    ) as r (env, tenant, client_id, route, key, digest, fingerprint, account, order_id, status, body, at)
)
select journal_require_all(count(*), cardinality(string_to_array($1, E'\x1f', E'\x1e'))) from advanced

-- name: mark
-- Something to commit that changes nothing: it is waited for like any commit, and so is all that came before it.
select pg_logical_emit_message(true, 'ordergate', '')

-- name: take_account
-- A new owner: the epoch only grows. The first owner of an account begins its stream.
insert into account_stream as s (account, epoch, head, last_hash, stream_id)
values ($1, 1, 0, $2, gen_random_uuid()::text)
on conflict (account) do update set epoch = s.epoch + 1
returning epoch, head, last_hash, stream_id

-- name: begin_streams_anew
update account_stream set stream_id = gen_random_uuid()::text

-- name: account_stands
select epoch, head from account_stream where account = $1

-- name: hash_at
-- The seal at one place, to learn whether what was or may have been written is there: same place, same seal.
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
