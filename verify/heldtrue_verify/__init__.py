"""Check what a Heldtrue instance says, with roots of trust that the reader pinned himself."""
