"""Programs that we start: run under a guard, watched, ended with us."""
