"""Window operators: a fast one for time grids with the default trigger, and a general one for everything else."""
