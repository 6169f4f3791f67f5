"""Rules that say when somebody must be told, and who is told: pages, and a webhook of yours."""
