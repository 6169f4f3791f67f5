"""Drawing users, API keys, retention and the audit log."""
