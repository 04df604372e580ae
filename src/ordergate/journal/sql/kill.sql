-- The way to stop that leads through the database, and what the nodes say of themselves.

-- name: raised
select id, level, target, grade, actor, reason, at from kill_flag where taken_at is null order by id

-- name: put
insert into kill_flag (id, level, target, grade, actor, reason, at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do nothing

-- name: lower
update kill_flag set taken_at = now() where id = $1 and taken_at is null

-- name: announce
insert into node_seen (node, build, config, session_pid, session_started)
select $1, $2, $3, pid, backend_start from pg_stat_activity where pid = pg_backend_pid()
on conflict (node) do update set build = excluded.build, config = excluded.config, seen_at = now(),
    session_pid = excluded.session_pid, session_started = excluded.session_started

-- name: nodes
-- A process id is used again, its start is not; a start that we may not see is taken for the same.
select node, build, config, session_pid is not null and not exists (
    select from pg_stat_activity
    where pid = session_pid and coalesce(backend_start = session_started, true)
) as ended
from node_seen where seen_at > now() - make_interval(secs => $1) order by node

-- name: withdraw
delete from node_seen where node = $1 or seen_at < now() - interval '1 day'
