"""``millstream sql``: the interactive shell, scripts, and how results are shown."""
