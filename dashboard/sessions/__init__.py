"""Drawing the table of sessions and one session."""
