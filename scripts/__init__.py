"""What the Makefile calls. Only the standard library: `environment` runs before anything else."""
