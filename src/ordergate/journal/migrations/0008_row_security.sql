-- The second fence between tenants: whoever reads for the public face does so under a role that sees, of the
-- tables shown there, only rows of accounts that are both the tenant's and the asker's. Where nobody has been
-- named nothing is seen. The owner of the tables, who writes them, is not asked and pays nothing.

create table account_owner (
    account text collate "C" primary key,
    tenant text collate "C" not null
);

create function account_owner_stays() returns trigger language plpgsql as $$
begin
    raise exception 'an account never changes its tenant' using errcode = 'OG002';
end
$$;
create trigger account_owner_stays before update of account, tenant on account_owner
    for each row execute function account_owner_stays();

do $$
begin
    if not exists (select from pg_roles where rolname = 'ordergate_reader') then
        create role ordergate_reader nologin;
    end if;
exception
    when duplicate_object or unique_violation then
        null; -- another database of the same server was quicker
    when insufficient_privilege then
        raise exception 'the role ordergate_reader is missing: create it, or let % create roles', current_user;
end
$$;
do $$
begin
    if not pg_has_role(current_user, 'ordergate_reader', 'member') then
        execute format('grant ordergate_reader to %I', current_user);
    end if;
    execute format('grant usage on schema %I to ordergate_reader', current_schema());
exception
    when insufficient_privilege then
        raise exception 'grant the role ordergate_reader to % first', current_user;
end
$$;

grant select on account_owner, account_stream, event, order_view, execution_view, position_view,
    balance_view, break_view to ordergate_reader;

create function seen_accounts() returns text[] language sql stable as $$
    select coalesce(array_agg(account), '{}') from account_owner
    where tenant = current_setting('ordergate.tenant', true)
        and account = any(string_to_array(current_setting('ordergate.accounts', true), ' '))
$$;

-- The subselect is evaluated once for a statement, and not for each row.
alter table account_owner enable row level security;
create policy seen on account_owner for select to ordergate_reader
    using (tenant = current_setting('ordergate.tenant', true));
alter table account_stream enable row level security;
create policy seen on account_stream for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table event enable row level security;
create policy seen on event for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table order_view enable row level security;
create policy seen on order_view for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table execution_view enable row level security;
create policy seen on execution_view for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table position_view enable row level security;
create policy seen on position_view for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table balance_view enable row level security;
create policy seen on balance_view for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
alter table break_view enable row level security;
create policy seen on break_view for select to ordergate_reader
    using (account = any((select seen_accounts())::text[]));
