"""Built-in functions of SQL: one file a theme, all found through ``registry``."""
