"""A SQL session: settings, catalogs, and the execution of statements one by one."""
