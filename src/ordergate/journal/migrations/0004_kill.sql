-- A way to stop that needs the database and nothing else: whoever may write a row here can stop. The
-- journal takes each over and then says so here; a row is never changed otherwise, and never deleted.
create table kill_flag (
    id       text primary key check (length(id) between 1 and 200),
    level    text not null,
    target   text not null default '',
    grade    text not null default 'block_new',
    actor    text not null default session_user,
    reason   text not null,
    at       timestamptz not null default now(),
    taken_at timestamptz
);

create index kill_flag_raised on kill_flag (id) where taken_at is null;

-- What each node that serves this database runs on, so that nodes which differ can be told apart.
create table node_seen (
    node    text primary key,
    build   text not null,
    config  text not null,
    seen_at timestamptz not null default now()
);
