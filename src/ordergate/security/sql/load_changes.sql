select id, at, what, operation, subject, facts, made_by from identity_change
where env = $1 and not recorded
order by id limit $2
