"""All that knows LiveKit's API. Protobuf stops here: the rest sees our own frozen models."""
