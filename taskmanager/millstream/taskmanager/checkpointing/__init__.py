"""The task's part of checkpoints: aligning barriers, writing state files, reading them again."""
