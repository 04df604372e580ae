-- People who log in, and what they let programs do in their name. Hashes of passwords, codes and refresh
-- tokens; the secret of a second factor is sealed with a key that is not in the database.

create table person (
    env text not null check (env in ('paper', 'live')),
    user_id text collate "C" not null check (user_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    tenant text collate "C" not null check (tenant ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    password_hash text not null check (password_hash like '$argon2id$%'),
    totp bytea check (env = 'paper' or totp is not null),
    scopes text[] not null,
    accounts text[] not null,
    enabled boolean not null,
    changed_at timestamptz not null default now(),
    primary key (env, user_id)
);

create function person_changed() returns trigger language plpgsql as $$
declare
    one person := coalesce(new, old);
begin
    perform identity_note(one.env, 'person', tg_op, one.user_id, jsonb_build_object(
        'tenant', one.tenant,
        'scopes', array_to_string(one.scopes, ' '),
        'accounts', array_to_string(one.accounts, ' '),
        'enabled', one.enabled::text,
        'password', case when tg_op = 'INSERT' then 'set' when tg_op = 'DELETE' then 'gone'
            when old.password_hash is distinct from new.password_hash then 'replaced' else 'kept' end,
        'second_factor', case when one.totp is null then 'none' when tg_op = 'UPDATE'
            and old.totp is not distinct from new.totp then 'kept' else 'set' end));
    return null;
end
$$;
create trigger person_changed after insert or update or delete on person
    for each row execute function person_changed();

create table oauth_grant (
    env text not null check (env in ('paper', 'live')),
    grant_id text collate "C" not null,
    client_id text collate "C" not null,
    user_id text collate "C" not null,
    scopes text[] not null,
    auth_time bigint not null,
    acr text not null,
    bound_to text,
    redirect_uri text not null,
    challenge text not null,
    code_hash text not null,
    code_expires_at bigint not null,
    redeemed boolean not null default false,
    refresh_hash text,
    spent_hashes text[] not null default '{}',
    used_at bigint not null,
    revoked boolean not null default false,
    primary key (env, grant_id)
);
create unique index oauth_grant_by_code on oauth_grant (env, code_hash);
create index oauth_grant_by_login on oauth_grant (env, auth_time);
