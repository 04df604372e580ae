"""The venue as Alpaca, judged by the official SDK and by the published documents."""
