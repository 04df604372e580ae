-- How gateways with journals of their own tell each other what is stopped.

-- name: identity
select id from gateway_identity

-- name: env
select env from journal

-- name: present
-- Nothing is answered where another process was heard under this name within three seconds.
insert into shared_gateway as g (gateway, node) values ($1, $2)
on conflict (gateway) do update set node = excluded.node, seen_at = now()
where g.node = excluded.node or g.seen_at < now() - interval '3 seconds'
returning true

-- name: leave
delete from shared_gateway where gateway = $1 and node = $2

-- name: tell
insert into shared_stop (id, gateway, level, target, grade, actor, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do nothing

-- name: end_told
update shared_stop set over_at = now() where gateway = $1 and over_at is null and id <> all ($2::text[])

-- name: raised
select id, level, target, grade, actor, reason, at from shared_stop as s
where over_at is null
    and not exists (select from shared_stop_taken as t where t.id = s.id and t.gateway = $1)
order by id

-- name: take
insert into shared_stop_taken (id, gateway) values ($1, $2) on conflict do nothing
