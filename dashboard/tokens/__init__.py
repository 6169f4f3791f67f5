"""Drawing the token form and the token inspector."""
