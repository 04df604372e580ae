"""Where limits are kept, changed, overridden and in force. The core has what reads them."""
