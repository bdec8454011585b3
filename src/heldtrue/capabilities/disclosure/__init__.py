"""Vulnerability disclosure: reports and their clock, rewards within their bands, thanks, keys, advisories."""
