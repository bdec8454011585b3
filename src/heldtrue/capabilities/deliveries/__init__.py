"""Endpoints and deliveries: signed webhooks that survive a crash and never reach an inner address (FORMATS 4)."""
