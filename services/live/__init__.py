"""What is told to open pages: the hub of topics, and the tickets that let a page read them."""
