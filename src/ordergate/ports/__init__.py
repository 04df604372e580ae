"""What the engine needs from the world, as small promises. Each has a real adapter and a twin."""
