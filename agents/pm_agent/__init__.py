"""pm-agent: a project manager on the phone."""
