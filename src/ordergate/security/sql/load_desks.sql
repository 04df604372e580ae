select tenant, desk from access_desk where env = $1 order by tenant, desk
