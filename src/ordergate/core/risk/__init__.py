"""Every control that an order must pass, as pure functions over what the lane hands in."""
