"""echo: the smallest agent, to copy from."""
