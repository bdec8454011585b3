"""Transforms and flows: customers' code in immutable versions, and the chains of steps that run it on payloads."""
