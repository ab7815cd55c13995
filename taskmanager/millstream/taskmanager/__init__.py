"""The TaskManager: registers at the JobManager, supervises slot processes, runs subtasks in them."""
