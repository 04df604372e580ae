-- Who belongs where, and what each may do there. A tenant has desks and accounts; a subject (a client, a
-- person, somebody of another issuer) has roles in a tenant, in a desk of it, or in one account.

create table access_tenant (
    env text not null check (env in ('paper', 'live')),
    tenant text collate "C" not null check (tenant ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    primary key (env, tenant)
);

create table access_desk (
    env text not null,
    tenant text collate "C" not null,
    desk text collate "C" not null check (desk ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    primary key (env, tenant, desk),
    foreign key (env, tenant) references access_tenant
);

-- An account never changes its tenant: what its people may see would change hands with it.
create table access_account (
    env text not null,
    account text collate "C" not null,
    tenant text collate "C" not null,
    desk text collate "C",
    primary key (env, account),
    foreign key (env, tenant) references access_tenant,
    foreign key (env, tenant, desk) references access_desk
);

-- A subject that is here may do what its roles come to, be that nothing. `version` grows with every change.
create table access_subject (
    env text not null,
    tenant text collate "C" not null,
    subject text collate "C" not null check (subject ~ '^[!-~]{1,255}$'),
    version bigint not null default 1,
    enabled boolean not null default true,
    primary key (env, tenant, subject),
    foreign key (env, tenant) references access_tenant
);

create table access_assignment (
    env text not null,
    tenant text collate "C" not null,
    subject text collate "C" not null,
    role text not null,
    reach text not null check (reach in ('tenant', 'desk', 'account')),
    of text collate "C" not null check ((of = '') = (reach = 'tenant')),
    primary key (env, tenant, subject, role, reach, of),
    foreign key (env, tenant, subject) references access_subject
);

-- Approved changes that have been carried out, so that none is twice.
create table access_carried_out (
    env text not null,
    change_id text collate "C" not null,
    at timestamptz not null default now(),
    primary key (env, change_id)
);

-- How far a client's key reaches besides its scopes and accounts. Beside the client's own row, and written
-- before it, so that a new client is never without its bounds.
create table client_bounds (
    env text not null check (env in ('paper', 'live')),
    client_id text collate "C" not null,
    instruments text[] not null,
    strategies text[] not null,
    notional_max numeric check (notional_max >= 0),
    networks cidr[] not null,
    expires_at bigint,
    primary key (env, client_id)
);

create function access_subject_moves() returns trigger language plpgsql as $$
begin
    if new.enabled is distinct from old.enabled and new.version <= old.version then
        new.version := old.version + 1;
    end if;
    if new.version < old.version then
        raise exception 'the version of a subject only grows' using errcode = 'OG002';
    end if;
    return new;
end
$$;
create trigger access_subject_moves before update on access_subject
    for each row execute function access_subject_moves();

-- Taken away, a subject would be bounded by nothing but its key.
create function access_subject_stays() returns trigger language plpgsql as $$
begin
    raise exception 'a subject is disabled, never deleted' using errcode = 'OG002';
end
$$;
create trigger access_subject_stays before delete on access_subject
    for each row execute function access_subject_stays();

create function access_assignment_changed() returns trigger language plpgsql as $$
declare
    one access_assignment := coalesce(new, old);
begin
    update access_subject set version = version + 1
    where env = one.env and tenant = one.tenant and subject = one.subject;
    if tg_op = 'UPDATE' and (old.env, old.tenant, old.subject) is distinct from (new.env, new.tenant, new.subject) then
        update access_subject set version = version + 1
        where env = old.env and tenant = old.tenant and subject = old.subject;
    end if;
    return null;
end
$$;
create trigger access_assignment_changed after insert or update or delete on access_assignment
    for each row execute function access_assignment_changed();

create function access_account_changed() returns trigger language plpgsql as $$
begin
    if new.tenant is distinct from old.tenant or new.account is distinct from old.account then
        raise exception 'an account never changes its tenant' using errcode = 'OG002';
    end if;
    if new.desk is distinct from old.desk then
        update access_subject set version = version + 1 where env = new.env and tenant = new.tenant;
    end if;
    return new;
end
$$;
create trigger access_account_changed before update on access_account
    for each row execute function access_account_changed();

-- What changed is recorded like every change of identity.
create function access_noted() returns trigger language plpgsql as $$
declare
    was jsonb := case when tg_op = 'INSERT' then null else to_jsonb(old) end;
    one jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
    facts jsonb;
begin
    if tg_op = 'UPDATE' and was - 'version' = one - 'version' then
        return null; -- the assignment that moved it is noted itself
    end if;
    select jsonb_object_agg(key, coalesce(value, '')) into facts from jsonb_each_text(one - 'env');
    perform identity_note(one ->> 'env', tg_argv[0], tg_op, one ->> tg_argv[1], facts);
    return null;
end
$$;
create trigger access_tenant_noted after insert or update or delete on access_tenant
    for each row execute function access_noted('tenant', 'tenant');
create trigger access_desk_noted after insert or update or delete on access_desk
    for each row execute function access_noted('desk', 'desk');
create trigger access_account_noted after insert or update or delete on access_account
    for each row execute function access_noted('account', 'account');
create trigger access_subject_noted after insert or update or delete on access_subject
    for each row execute function access_noted('subject', 'subject');
create trigger access_assignment_noted after insert or update or delete on access_assignment
    for each row execute function access_noted('role', 'subject');
create trigger client_bounds_noted after insert or update or delete on client_bounds
    for each row execute function access_noted('client_bounds', 'client_id');
