-- What a server of our own is asked once.

-- name: has_database
select exists (select from pg_database where datname = $1)

-- name: statement_to_make_database
-- A database's name cannot be a parameter; the server quotes it.
select format('create database %I', $1::text)
