"""What the system says about itself: log lines that hold no secrets, and cheap measurements."""
