-- What lets the gateway in at brokers. Every secret is sealed; the row says what is needed to open it, and
-- whose it is. A login has room for one credential in use, one that follows it and one that leaves.

create table broker_credential (
    env text not null check (env in ('paper', 'live')),
    row_id text collate "C" not null check (row_id ~ '^[0-9a-f]{32}$'),
    broker text collate "C" not null,
    tenant text collate "C" not null,
    account text collate "C" not null,
    kind text not null check (kind in ('api_keys', 'oauth_tokens')),
    state text not null check (state in ('added', 'verified', 'active', 'draining', 'drained', 'revoked')),
    fingerprint text,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    kek text,
    kek_version integer,
    kek_algorithm text,
    wrapped bytea,
    algorithm text,
    nonce bytea,
    ciphertext bytea,
    primary key (env, row_id),
    -- What is revoked is gone, and not only marked.
    check ((state = 'revoked') = (ciphertext is null)),
    check (num_nulls(kek, kek_version, kek_algorithm, wrapped, algorithm, nonce, ciphertext) in (0, 7))
);
create unique index broker_credential_in_use on broker_credential (env, broker) where state = 'active';
create unique index broker_credential_next on broker_credential (env, broker) where state in ('added', 'verified');
create unique index broker_credential_leaving on broker_credential (env, broker)
    where state in ('draining', 'drained');

create function broker_credential_changed() returns trigger language plpgsql as $$
declare
    one broker_credential := coalesce(new, old);
begin
    perform identity_note(one.env, 'broker_credential', tg_op, one.row_id, jsonb_build_object(
        'broker', one.broker,
        'kind', one.kind,
        'state', one.state,
        'kek_version', coalesce(one.kek_version::text, ''),
        'secret', case when tg_op = 'INSERT' then 'set' when tg_op = 'DELETE' or one.ciphertext is null then 'gone'
            when old.ciphertext is distinct from new.ciphertext then 'replaced' else 'kept' end));
    return null;
end
$$;
create trigger broker_credential_changed after insert or update or delete on broker_credential
    for each row execute function broker_credential_changed();
