select tenant, strategy, version, owner, enabled from access_strategy
where env = $1
order by tenant, strategy, version
