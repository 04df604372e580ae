-- Stops that several gateways of one environment hold together, each with a journal of its own. One of their
-- databases, or another of this schema, is where they tell each other; here are its tables, empty elsewhere.

-- What a gateway is called there: of its journal, so that it is the same after a restart.
create table gateway_identity (
    only_one boolean primary key default true check (only_one),
    id uuid not null default gen_random_uuid()
);
insert into gateway_identity default values;

create table shared_gateway (
    gateway uuid primary key,
    node text not null,
    seen_at timestamptz not null default now()
);

-- One row for each stop, never deleted. `over_at`: whoever told of it has released it.
create table shared_stop (
    id text primary key,
    gateway uuid not null,
    level text not null,
    target text not null,
    grade text not null,
    actor text not null,
    reason text not null,
    at timestamptz not null,
    over_at timestamptz
);
create index shared_stop_in_force on shared_stop (gateway) where over_at is null;

-- A gateway has it in its own journal.
create table shared_stop_taken (
    id text not null references shared_stop,
    gateway uuid not null,
    at timestamptz not null default now(),
    primary key (id, gateway)
);
