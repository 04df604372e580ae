-- A secret that was replaced serves on until a stated end. Who changed something, and why, is in the same record
-- as the change: whoever changes a row says it in `ordergate.noted`, for the one transaction.

alter table oauth_client
    add column old_secret_hash text check (old_secret_hash like '$argon2id$%'),
    add column old_secret_until bigint,
    add constraint oauth_client_old_secret check (num_nulls(old_secret_hash, old_secret_until) in (0, 2)
        and (old_secret_hash is null or secret_hash is not null));

create or replace function identity_note(env text, what text, operation text, subject text, facts jsonb) returns void
language sql as $$
    insert into identity_change (env, what, operation, subject, facts, made_by)
    values (env, what, lower(operation), subject,
        facts || coalesce(nullif(current_setting('ordergate.noted', true), '')::jsonb, '{}'),
        session_user || coalesce(' by ' || nullif(current_setting('application_name', true), ''), ''))
$$;

create or replace function oauth_client_changed() returns trigger language plpgsql as $$
declare
    one oauth_client := coalesce(new, old);
begin
    if tg_op = 'UPDATE' and to_jsonb(old) - 'changed_at' = to_jsonb(new) - 'changed_at' then
        return null; -- its bounds are noted themselves
    end if;
    perform identity_note(one.env, 'client', tg_op, one.client_id, jsonb_build_object(
        'tenant', one.tenant,
        'scopes', array_to_string(one.scopes, ' '),
        'accounts', array_to_string(one.accounts, ' '),
        'enabled', one.enabled::text,
        'secret', case when tg_op = 'INSERT' then case when one.secret_hash is null then 'none' else 'set' end
            when tg_op = 'DELETE' then 'gone'
            when old.secret_hash is distinct from new.secret_hash then 'replaced' else 'kept' end,
        'old_secret_until', coalesce(one.old_secret_until::text, ''),
        'keys', coalesce((select string_agg(key ->> 'kid', ' ')
            from jsonb_array_elements(one.keys::jsonb -> 'keys') as key), ''),
        'redirect_uris', array_to_string(one.redirect_uris, ' '),
        'sender', one.sender));
    return null;
end
$$;
