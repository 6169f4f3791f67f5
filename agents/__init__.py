"""The agents: LangGraph graphs, listed in langgraph.json, and the worker that puts them on calls."""

import os

# Read when langgraph is imported. A checkpoint then names no class that its reader would import:
# what it does not know comes back as plain values.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
