select account, tenant, desk from access_account where env = $1 order by account
