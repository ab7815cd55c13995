"""Stream graph (what the program says) and the payloads that carry it into slot processes."""

from typing import Final

PAYLOAD_FORMAT: Final = "1"
"""Version of the pickled payload classes; a JobManager refuses a job of another format."""
