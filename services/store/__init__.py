"""The database: append-only events, and the tables folded from them."""
