-- The session of the database by which a node says what it runs on: when it has ended, so has the node, or it
-- says so anew with its next. Null for a release that does not tell.
alter table node_seen
    add column session_pid integer,
    add column session_started timestamptz;
