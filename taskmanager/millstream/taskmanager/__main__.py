"""``python -m millstream.taskmanager``."""

import sys

from millstream.taskmanager.main import main

if __name__ == "__main__":
    sys.exit(main())
