"""Drawing rooms, their participants, and audio monitoring."""
