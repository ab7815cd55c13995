"""Tasks: one subtask each, run by the cooperative task loop of its slot process."""
