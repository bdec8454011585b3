"""Permissions, roles, and the one decision."""
