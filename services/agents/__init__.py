"""Agents at work: their jobs' streams, commands to them, and what is done when one is lost."""
