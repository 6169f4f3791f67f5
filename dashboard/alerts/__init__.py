"""Drawing alerts and their rules."""
