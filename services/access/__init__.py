"""Who may do what, and what everybody did."""
