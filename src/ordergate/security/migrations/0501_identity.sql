-- Who may ask for tokens. Holds hashes of secrets and public keys only.

create table oauth_client (
    env text not null check (env in ('paper', 'live')),
    client_id text collate "C" not null check (client_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    tenant text collate "C" not null check (tenant ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    secret_hash text not null check (secret_hash like '$argon2id$%'),
    scopes text[] not null,
    accounts text[] not null,
    enabled boolean not null,
    changed_at timestamptz not null default now(),
    primary key (env, client_id)
);

create table oauth_signing_key (
    env text not null check (env in ('paper', 'live')),
    kid text collate "C" not null,
    jwk text not null check (not (jwk::jsonb ?| array['d', 'k', 'p', 'q', 'dp', 'dq', 'qi'])),
    retires_at bigint,
    primary key (env, kid)
);

-- A row outlives the token it names by nothing: after expires_at the token is refused anyway.
create table oauth_revocation (
    env text not null check (env in ('paper', 'live')),
    token_id text collate "C" not null,
    expires_at bigint not null,
    primary key (env, token_id)
);
create index oauth_revocation_by_expiry on oauth_revocation (env, expires_at);
