"""Agreements: legal texts in force, the processing agreement with its annexes, service levels, what was accepted and signed."""
