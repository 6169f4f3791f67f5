"""The async core: LiveKit, store, sessions and live data. Knows no UI and no web framework."""
