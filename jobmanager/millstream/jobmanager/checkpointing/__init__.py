"""The JobManager's part of checkpoints: when, who, sealed or given up, and what a restarted job starts with."""
