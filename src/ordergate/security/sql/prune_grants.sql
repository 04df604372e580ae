delete from oauth_grant where env = $1 and auth_time < $2
