"""Registers: what the operator declares in public, in versions that nobody can take back."""
