"""Organisations and their environments: the boundary of row-level security and of keys."""
