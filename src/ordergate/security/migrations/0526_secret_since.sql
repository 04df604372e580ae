-- Since when a client has the secret, or the keys, that it has now; null for what has not changed since before
-- this was kept, and `changed_at` says the least that is known of it. Nobody's record speaks of it: that a secret
-- was replaced is noted already.

alter table oauth_client add column secret_since timestamptz;

create or replace function oauth_client_changed() returns trigger language plpgsql as $$
declare
    one oauth_client := coalesce(new, old);
begin
    if tg_op = 'UPDATE' and to_jsonb(old) - '{changed_at,secret_since}'::text[]
            = to_jsonb(new) - '{changed_at,secret_since}'::text[] then
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
