-- Two processes may end a key at once, one of them in an emergency: the earlier end stands (least skips null).
insert into oauth_signing_key (env, kid, jwk, retires_at)
select $1, kid, jwk, retires_at
from unnest($2::text[], $3::text[], $4::bigint[]) as k (kid, jwk, retires_at)
on conflict (env, kid) do update
set jwk = excluded.jwk, retires_at = least(oauth_signing_key.retires_at, excluded.retires_at)
