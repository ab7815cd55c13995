"""``python -m millstream.jobmanager``."""

import sys

from millstream.jobmanager.main import main

if __name__ == "__main__":
    sys.exit(main())
