"""``python -m stemdisp.cli`` is ``stemdisp``."""

from . import main

if __name__ == "__main__":
    main()
