"""Sources, sinks and formats, one folder or file a system."""
