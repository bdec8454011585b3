"""Receipts: what was forwarded, when and to whom, signed and dated by the log (FORMATS 2)."""
