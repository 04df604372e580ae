insert into access_strategy (env, tenant, strategy, version, owner, enabled)
values ($1, $2, $3, $4, $5, $6)
on conflict (env, tenant, strategy, version) do update set owner = excluded.owner, enabled = excluded.enabled
