insert into oauth_spent (env, what, expires_at)
values ($1, $2, $3)
on conflict (env, what) do nothing
returning true
