"""Is this person's device fit for a call: microphone, hearing, browser, and the way to LiveKit."""
