"""Customers' code in a sandbox: one fresh environment an execution, isolated by the kernel before a byte of theirs is read."""
