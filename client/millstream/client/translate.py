"""From a stream graph to a job graph and the blobs that carry its code."""

from millstream.client.translation.job import TranslatedJob, translate

__all__ = ["TranslatedJob", "translate"]
