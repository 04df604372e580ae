"""What commands have in common: who asks under which key, what is answered, and once for all."""
