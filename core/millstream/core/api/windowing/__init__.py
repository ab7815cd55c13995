"""Windows, assigners, triggers and evictors. ``millstream.core.api.windows`` is the one place to import them from."""
