-- The order of the Merkle tree's leaves, and the signed heads of the tree.
--
-- A leaf is the seal of an event. Ranges of an account's events were taken into the tree one after the other;
-- what is here is small, and neither table is ever changed.

create table audit_range (
    first_index bigint primary key,
    account text collate "C" not null,
    after_seq bigint not null,
    upto_seq bigint not null,
    unique (account, after_seq),
    check (upto_seq > after_seq and after_seq >= 0 and first_index >= 0)
);

create table audit_checkpoint (
    size bigint primary key,
    root bytea not null check (length(root) = 32),
    frontier bytea not null,
    note text not null,
    at timestamptz not null
);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'what was signed is never changed and never deleted' using errcode = 'OG002';
end
$$;
create trigger audit_range_is_append_only before update or delete or truncate on audit_range
    for each statement execute function audit_is_append_only();
create trigger audit_checkpoint_is_append_only before update or delete or truncate on audit_checkpoint
    for each statement execute function audit_is_append_only();

-- What others are told: the drop copy, and messages to endpoints until they are taken or dead. Both can be
-- made again from the journal, but for what endpoints answered.
create table notice_cursor (
    account text collate "C" primary key,
    seq bigint not null
);

create table drop_copy (
    number bigint primary key,
    account text collate "C" not null,
    seq bigint not null,
    kind text not null,
    at timestamptz not null,
    frame text not null,
    unique (account, seq)
);

create table webhook_delivery (
    endpoint text collate "C" not null,
    account text collate "C" not null,
    seq bigint not null,
    kind text not null,
    frame text not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
    attempts integer not null default 0,
    next_at timestamptz not null,
    settled_at timestamptz,
    why text,
    primary key (endpoint, account, seq)
);
create index webhook_delivery_due on webhook_delivery (endpoint, next_at) where state = 'waiting';
