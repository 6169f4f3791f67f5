"""Health: checks and their findings, the doctor, the overview, the System page."""
