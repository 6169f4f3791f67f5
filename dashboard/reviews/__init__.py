"""Drawing reviews, their queue, and agreement between reviewers."""
