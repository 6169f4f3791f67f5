"""Drawing metrics over many sessions."""
