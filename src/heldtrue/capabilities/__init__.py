"""What Heldtrue can do: one folder each, named by the noun that a security reviewer uses."""
