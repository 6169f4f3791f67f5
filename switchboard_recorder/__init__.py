"""Makes a LiveKit agent visible in Switchboard: what it hears, says and thinks, as it happens."""
