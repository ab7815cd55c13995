"""What ``WITH ('connector' = '...')`` may name, one file a connector; ``pyproject.toml`` registers them."""
