"""Speech to text and text to speech. Light: the speech process needs nothing of LiveKit."""
