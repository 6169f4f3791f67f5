"""Drawing test sessions: by voice, by text, scripted; the device check."""
