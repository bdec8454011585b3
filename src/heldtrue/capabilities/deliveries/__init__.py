"""Endpoints and deliveries: signed webhooks (docs/spec/webhooks.md) that survive a crash and shun inner addresses."""
