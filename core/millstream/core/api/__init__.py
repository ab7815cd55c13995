"""What user programs and the runtime both know: functions, state, windows, watermarks, types, sources, sinks.

Users import them under PyFlink's paths from ``millstream.datastream`` and ``millstream.common``.
"""
