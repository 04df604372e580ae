update factor_key set sealed = $3, changed_at = now() where env = $1 and sealed = $2 returning env
