"""Questionnaires: our own, answered from claims and registers; and customers', answered by what a person confirmed."""
