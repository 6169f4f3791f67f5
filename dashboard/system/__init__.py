"""Drawing the overview, the System page and check results."""
