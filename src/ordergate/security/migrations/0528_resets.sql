-- Resets: what stands for a password that its owner has lost, until they have chosen another. The hash of a code
-- of 256 bits of chance. It lets nobody in: whoever brings it shows the second factor, too.

create table password_reset (
    env text not null check (env in ('paper', 'live')),
    user_id text collate "C" not null,
    code_hash text not null check (code_hash ~ '^[0-9a-f]{64}$'),
    expires_at bigint not null,
    primary key (env, user_id),
    foreign key (env, user_id) references person on delete cascade
);

create function password_reset_ends() returns trigger language plpgsql as $$
begin
    delete from password_reset where env = new.env and user_id = new.user_id;
    return null;
end
$$;
create trigger password_reset_ends after update on person
    for each row when (old.password_hash is distinct from new.password_hash)
    execute function password_reset_ends();

create function password_reset_changed() returns trigger language plpgsql as $$
declare
    one password_reset := coalesce(new, old);
begin
    perform identity_note(one.env, 'password_reset', tg_op, one.user_id, jsonb_build_object(
        'expires_at', one.expires_at::text));
    return null;
end
$$;
create trigger password_reset_changed after insert or update or delete on password_reset
    for each row execute function password_reset_changed();
