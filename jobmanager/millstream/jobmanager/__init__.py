"""The JobManager: takes jobs, places their subtasks in slots, watches them to their end."""
