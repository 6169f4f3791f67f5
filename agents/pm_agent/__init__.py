"""pm-agent: a project manager on the phone. `graph.py` draws it, `nodes.py` says what it does."""
