"""`python -m heldtrue`."""

from heldtrue.app.cli import main

main()
