"""Coordinators: the parts of operators that live in the JobManager."""
