"""Agreements: legal texts in force, the processing agreement, service levels, what was accepted and signed."""
