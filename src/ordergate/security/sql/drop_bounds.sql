delete from client_bounds where env = $1 and client_id = $2
