select min(changed_at) from oauth_client where env = $1 and enabled
