select tenant from access_tenant where env = $1 order by tenant
