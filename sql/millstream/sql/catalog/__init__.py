"""Tables, views and functions by name: catalogs, where they are stored, and how names are resolved."""
