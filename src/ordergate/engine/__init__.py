"""The imperative shell: carries commands to brokers and brokers' news into the journal."""
