"""Checkpoints on disk: which files there are, how they are written, and how they are believed when read again.

A job's directory holds ``chk-<id>/`` for each checkpoint: state files, one a subtask, and ``MANIFEST``, written last. A
directory without a valid manifest is no checkpoint. Every file and every section of it carries its CRC-32C.
"""
