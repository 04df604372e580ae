select set_config('ordergate.noted', $1, true)
