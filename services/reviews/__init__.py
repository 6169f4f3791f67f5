"""What reviewers think of sessions, and the queue of what to review."""
