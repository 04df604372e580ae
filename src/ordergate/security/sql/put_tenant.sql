insert into access_tenant (env, tenant) values ($1, $2) on conflict do nothing
