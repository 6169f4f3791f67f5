"""Pages: one file, one URL."""
