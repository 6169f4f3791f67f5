"""Rooms: their state in memory, its reconciliation with LiveKit, views, and operations."""
