insert into access_desk (env, tenant, desk) values ($1, $2, $3) on conflict do nothing
