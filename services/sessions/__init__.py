"""Voice sessions: created, ended, found, retained; presets and saved views."""
