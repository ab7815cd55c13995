"""Several JobManagers of which one leads: what clients and TaskManagers need to find it."""
