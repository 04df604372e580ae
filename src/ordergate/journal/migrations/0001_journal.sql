-- The journal and its read tables.
--
-- `event` is the truth: append only, gapless per account, sealed link by link. Everything named `_view`
-- is a projection that can be rebuilt from it. All of one database belongs to one environment.
-- Names compare by byte (collate "C"), so that keyset paging means the same on every server.

create table journal (
    only_one boolean primary key default true check (only_one),
    env text not null check (env in ('paper', 'live'))
);

-- One row per account: who may write (epoch) and where the stream stands. Updated by every batch, so it
-- keeps half of each page free and never needs an index entry moved.
create table account_stream (
    account text collate "C" primary key,
    epoch bigint not null,
    head bigint not null,
    last_hash bytea not null,
    stream_id text not null
) with (fillfactor = 50);

create table event (
    account text collate "C" not null,
    seq bigint not null,
    kind text not null,
    version integer not null,
    order_id text collate "C",
    at timestamptz not null,
    correlation text not null,
    body text not null,
    frame text not null,
    hash bytea not null,
    primary key (account, seq)
) with (toast_tuple_target = 8160); -- a frame of some kilobytes is not worth compressing on the way to a commit
create index event_of_order on event (order_id, account, seq) where order_id is not null;

create function event_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'an event is never changed and never deleted' using errcode = 'OG002';
end
$$;
create trigger event_is_append_only before update or delete or truncate on event
    for each statement execute function event_is_append_only();

-- A batch is written whole or not at all: one account that did not advance undoes the statement.
create function journal_require_all(advanced bigint, wanted bigint) returns bigint language plpgsql as $$
begin
    if advanced <> wanted then
        raise exception '% of % accounts advanced', advanced, wanted using errcode = 'OG001';
    end if;
    return advanced;
end
$$;

create table receipt (
    env text not null,
    tenant text collate "C" not null,
    client_id text collate "C" not null,
    route text collate "C" not null,
    key text collate "C" not null,
    digest bigint not null,
    fingerprint bytea not null,
    account text collate "C" not null,
    order_id text collate "C",
    status integer not null,
    body text,
    at timestamptz not null,
    -- The key first: it alone nearly always tells two receipts apart.
    primary key (key, client_id, tenant, route, env)
);
-- An owner remembers its account's keys by their digests: read from the index alone.
create index receipt_of_account on receipt (account, at) include (digest);

-- `closed_as` is the status once the order is closed: while an order is open no indexed column changes,
-- and PostgreSQL updates the row in place. Orders of one status are read from the two partial indexes.
create table order_view (
    account text collate "C" not null,
    id text collate "C" not null,
    client_order_id text collate "C",
    symbol text collate "C" not null,
    status text not null,
    open boolean not null,
    accepted_at timestamptz not null,
    body text not null,
    closed_as text generated always as (case when not open then status end) stored,
    primary key (account, id)
) with (fillfactor = 70, toast_tuple_target = 8160);
create index order_view_open on order_view (account, id) where open;
create index order_view_closed on order_view (account, closed_as, id) where closed_as is not null;
create index order_view_symbol on order_view (account, symbol, id);
-- A client's own label is used once within an account, for ever.
create unique index order_view_client on order_view (account, client_order_id) where client_order_id is not null;

-- `seq` is the event that first wrote the row: executions are shown in the order they were learned.
create table execution_view (
    account text collate "C" not null,
    key text collate "C" not null,
    seq bigint not null,
    body text not null,
    primary key (account, key)
);
create index execution_view_newest on execution_view (account, seq, key);

create table position_view (
    account text collate "C" not null,
    key text collate "C" not null,
    body text not null,
    primary key (account, key)
) with (fillfactor = 70);

create table balance_view (
    account text collate "C" not null,
    key text collate "C" not null,
    body text not null,
    primary key (account, key)
) with (fillfactor = 50);

create table break_view (
    account text collate "C" not null,
    key text collate "C" not null,
    body text not null,
    primary key (account, key)
);
