insert into client_bounds (env, client_id, instruments, strategies, notional_max, networks, expires_at, signed_requests)
values ($1, $2, $3, $4, $5, $6::text[]::cidr[], $7, $8)
on conflict (env, client_id) do update set
    instruments = excluded.instruments,
    strategies = excluded.strategies,
    notional_max = excluded.notional_max,
    networks = excluded.networks,
    expires_at = excluded.expires_at,
    signed_requests = excluded.signed_requests
