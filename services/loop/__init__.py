"""The one event loop that pages and API share: its policy, the bridge to it, batches, lag."""
