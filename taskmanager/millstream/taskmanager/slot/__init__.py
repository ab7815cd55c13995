"""The slot process: a child of the fork server that runs the subtasks of one slot in one task loop."""
