"""`python -m ordergate` is the command line."""

from ordergate.cli.main import app

app()
