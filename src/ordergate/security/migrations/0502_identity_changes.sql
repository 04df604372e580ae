-- Every change of who may do what, caught where it happens: whichever program made it, and whoever has the
-- database's password. The gateway writes each into the journal, where it is sealed and signed for.
-- Hashes of secrets are never copied; that one was replaced is.

create table identity_change (
    id bigint generated always as identity primary key,
    env text not null,
    at timestamptz not null default clock_timestamp(),
    what text not null,
    operation text not null,
    subject text not null,
    facts jsonb not null,
    made_by text not null,
    recorded boolean not null default false
);
create index identity_change_waiting on identity_change (env, id) where not recorded;

create function identity_note(env text, what text, operation text, subject text, facts jsonb) returns void
language sql as $$
    insert into identity_change (env, what, operation, subject, facts, made_by)
    values (env, what, lower(operation), subject, facts,
        session_user || coalesce(' by ' || nullif(current_setting('application_name', true), ''), ''))
$$;

create function oauth_client_changed() returns trigger language plpgsql as $$
declare
    one oauth_client := coalesce(new, old);
begin
    perform identity_note(one.env, 'client', tg_op, one.client_id, jsonb_build_object(
        'tenant', one.tenant,
        'scopes', array_to_string(one.scopes, ' '),
        'accounts', array_to_string(one.accounts, ' '),
        'enabled', one.enabled::text,
        'secret', case when tg_op = 'INSERT' then 'set' when tg_op = 'DELETE' then 'gone'
            when old.secret_hash is distinct from new.secret_hash then 'replaced' else 'kept' end));
    return null;
end
$$;
create trigger oauth_client_changed after insert or update or delete on oauth_client
    for each row execute function oauth_client_changed();

create function oauth_signing_key_changed() returns trigger language plpgsql as $$
declare
    one oauth_signing_key := coalesce(new, old);
begin
    if tg_op <> 'UPDATE' or old is distinct from new then
        perform identity_note(one.env, 'signing_key', tg_op, one.kid, jsonb_build_object(
            'retires_at', coalesce(one.retires_at::text, '')));
    end if;
    return null;
end
$$;
create trigger oauth_signing_key_changed after insert or update or delete on oauth_signing_key
    for each row execute function oauth_signing_key_changed();

-- A revocation that is forgotten after its token has expired is housekeeping; before that it is an act.
create function oauth_revocation_changed() returns trigger language plpgsql as $$
declare
    one oauth_revocation := coalesce(new, old);
begin
    if tg_op <> 'DELETE' or one.expires_at > extract(epoch from clock_timestamp()) then
        perform identity_note(one.env, 'revocation', tg_op, one.token_id, jsonb_build_object(
            'expires_at', one.expires_at::text));
    end if;
    return null;
end
$$;
create trigger oauth_revocation_changed after insert or update or delete on oauth_revocation
    for each row execute function oauth_revocation_changed();

-- Of a change nothing but `recorded` ever moves, and only from false to true.
create function identity_change_stays() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if new.recorded and to_jsonb(new) - 'recorded' = to_jsonb(old) - 'recorded' then
            return new;
        end if;
    end if;
    raise exception 'what changed in identity is never changed and never deleted' using errcode = 'OG002';
end
$$;
create trigger identity_change_stays before update or delete on identity_change
    for each row execute function identity_change_stays();
