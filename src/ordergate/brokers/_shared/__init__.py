"""What every adapter that speaks HTTP and WebSocket needs to tell `unknown` from a definite answer."""
