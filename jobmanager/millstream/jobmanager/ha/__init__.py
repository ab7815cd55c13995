"""Several JobManagers of which one leads: electing the leader, and what it finds of the one before."""
