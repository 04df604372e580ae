-- The second fence between tenants: who reads, and whose the accounts are.

-- name: look_as
select set_config('ordergate.tenant', $1, false), set_config('ordergate.accounts', $2, false)

-- name: place_owners
insert into account_owner (account, tenant) select * from unnest($1::text[], $2::text[])
on conflict (account) do nothing

-- name: owners
select account, tenant from account_owner where account = any($1::text[])
