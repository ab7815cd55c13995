"""The command ``millstream``. One module a command; ``main`` imports only the one that is called."""
