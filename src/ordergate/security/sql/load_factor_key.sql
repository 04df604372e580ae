select sealed from factor_key where env = $1
