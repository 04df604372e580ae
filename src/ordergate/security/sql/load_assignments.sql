select tenant, subject, role, reach, of from access_assignment
where env = $1
order by tenant, subject, role, reach, of
