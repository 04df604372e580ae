-- Clients that prove themselves with keys of their own, or act for people only, and what is good once.

alter table oauth_client
    alter column secret_hash drop not null,
    add column keys text check (jsonb_path_exists(keys::jsonb, '$.keys[*]')
        and not jsonb_path_exists(keys::jsonb, '$.keys[*] ? (exists(@.d) || exists(@.k) || exists(@.p))')),
    add column redirect_uris text[] not null default '{}',
    add column sender text not null default 'any' check (sender in ('any', 'dpop', 'mtls')),
    add constraint oauth_client_one_proof check (secret_hash is null or keys is null),
    add constraint oauth_client_public_redirects
        check (secret_hash is not null or keys is not null or cardinality(redirect_uris) > 0);

create or replace function oauth_client_changed() returns trigger language plpgsql as $$
declare
    one oauth_client := coalesce(new, old);
begin
    perform identity_note(one.env, 'client', tg_op, one.client_id, jsonb_build_object(
        'tenant', one.tenant,
        'scopes', array_to_string(one.scopes, ' '),
        'accounts', array_to_string(one.accounts, ' '),
        'enabled', one.enabled::text,
        'secret', case when tg_op = 'INSERT' then case when one.secret_hash is null then 'none' else 'set' end
            when tg_op = 'DELETE' then 'gone'
            when old.secret_hash is distinct from new.secret_hash then 'replaced' else 'kept' end,
        'keys', coalesce((select string_agg(key ->> 'kid', ' ')
            from jsonb_array_elements(one.keys::jsonb -> 'keys') as key), ''),
        'redirect_uris', array_to_string(one.redirect_uris, ' '),
        'sender', one.sender));
    return null;
end
$$;

-- What was used and may not be used again: ids of client assertions.
create table oauth_spent (
    env text not null check (env in ('paper', 'live')),
    what text collate "C" not null,
    expires_at bigint not null,
    primary key (env, what)
);
create index oauth_spent_by_expiry on oauth_spent (env, expires_at);
