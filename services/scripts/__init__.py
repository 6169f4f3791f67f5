"""Scripted test sessions: a caller of our own says what a script tells it, and what came is checked."""
