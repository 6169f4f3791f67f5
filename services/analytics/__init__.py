"""Metrics over many sessions: counted for each session, summed by hour and day, compared."""
