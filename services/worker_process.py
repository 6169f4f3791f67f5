"""The agents' worker of this machine: started, watched, started again, ended with us."""
