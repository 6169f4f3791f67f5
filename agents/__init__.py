"""The agents: LangGraph graphs, listed in langgraph.json."""
