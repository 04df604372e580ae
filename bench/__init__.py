"""The performance suite. Its numbers are ratios measured in one run, side by side."""
