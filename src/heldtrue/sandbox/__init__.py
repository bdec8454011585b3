"""Customers' code in a sandbox: one fresh environment an execution, isolated before a byte of theirs is read."""
