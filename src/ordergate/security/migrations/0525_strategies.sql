-- Which strategies may trade in a tenant, and who answers for each. Without a version it stands for all of them.
-- Like its siblings it is read by the gateway alone: nothing of it is granted to the role that the API reads under.

create table access_strategy (
    env text not null,
    tenant text collate "C" not null,
    strategy text collate "C" not null check (strategy ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    version text collate "C" not null check (version ~ '^[A-Za-z0-9_.:-]{0,64}$'),
    owner text collate "C" not null check (owner ~ '^[!-~]{1,255}$'),
    enabled boolean not null,
    primary key (env, tenant, strategy, version),
    foreign key (env, tenant) references access_tenant
);
alter table access_strategy enable row level security;

-- A tenant whose last strategy was taken out would trade any.
create function access_strategy_stays() returns trigger language plpgsql as $$
begin
    raise exception 'a strategy is disabled, never deleted' using errcode = 'OG002';
end
$$;
create trigger access_strategy_stays before delete on access_strategy
    for each row execute function access_strategy_stays();
create trigger access_strategy_noted after insert or update or delete on access_strategy
    for each row execute function access_noted('strategy', 'strategy');
