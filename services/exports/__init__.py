"""A session to take away."""
