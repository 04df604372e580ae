-- Passkeys: public keys whose private halves are in what people carry (WebAuthn). Each is of one environment and
-- one person. Of one that is kept nothing changes but how often it was used, and that it came to be doubted.

create table passkey (
    env text not null check (env in ('paper', 'live')),
    credential_id text collate "C" not null check (credential_id ~ '^[A-Za-z0-9_-]+$' and length(credential_id) <= 1364),
    user_id text collate "C" not null,
    label text collate "C" not null check (label ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$'),
    user_handle bytea not null check (octet_length(user_handle) between 1 and 64),
    public_key bytea not null check (octet_length(public_key) between 1 and 1024),
    sign_count bigint not null check (sign_count between 0 and 4294967295),
    backed_up boolean not null,
    made_at bigint not null,
    used_at bigint,
    suspect boolean not null default false,
    primary key (env, credential_id),
    unique (env, user_id, label),
    foreign key (env, user_id) references person on delete cascade
);

create function passkey_stays() returns trigger language plpgsql as $$
begin
    if to_jsonb(new) - '{sign_count,used_at,suspect}'::text[] <> to_jsonb(old) - '{sign_count,used_at,suspect}'::text[] then
        raise exception 'a passkey never becomes another' using errcode = 'OG002';
    end if;
    if new.sign_count < old.sign_count or (old.suspect and not new.suspect) then
        raise exception 'a passkey never forgets a use or a doubt' using errcode = 'OG002';
    end if;
    return new;
end
$$;
create trigger passkey_stays before update on passkey for each row execute function passkey_stays();

-- A use is a login, and no change of who may do what.
create function passkey_changed() returns trigger language plpgsql as $$
declare
    one passkey := coalesce(new, old);
begin
    if tg_op <> 'UPDATE' or old.suspect is distinct from new.suspect then
        perform identity_note(one.env, 'passkey', tg_op, one.user_id, jsonb_build_object(
            'label', one.label,
            'credential', one.credential_id,
            'synced', one.backed_up::text,
            'suspect', one.suspect::text));
    end if;
    return null;
end
$$;
create trigger passkey_changed after insert or update or delete on passkey
    for each row execute function passkey_changed();
