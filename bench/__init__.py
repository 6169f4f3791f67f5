"""`python -m bench`: how fast it is, as ratios within one run. Never a test: machines are noisy."""
