-- The numbered migrations that a database has had.

-- name: serialize
-- One migration at a time, whoever else starts in the same second.
select pg_advisory_xact_lock($1, $2)

-- name: begin_ledger
create table if not exists schema_migration (
    number integer primary key,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now()
)

-- name: has_ledger
select to_regclass('schema_migration') is not null

-- name: applied
select number, name, checksum from schema_migration order by number

-- name: record
insert into schema_migration (number, name, checksum) values ($1, $2, $3)
