delete from access_assignment
where env = $1 and tenant = $2 and subject = $3 and role = $4 and reach = $5 and of = $6
