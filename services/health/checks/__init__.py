"""The doctor's checks, one file for each part of the whole; `services.health.doctor` runs them."""
