-- The first one stays: what it sealed is opened by no other.
insert into factor_key (env, sealed) values ($1, $2) on conflict (env) do nothing
