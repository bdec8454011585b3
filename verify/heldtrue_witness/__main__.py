"""Run as `python -m heldtrue_witness`."""

import sys

from heldtrue_witness.cli import main

if __name__ == "__main__":
    sys.exit(main())
