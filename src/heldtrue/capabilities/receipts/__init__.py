"""Receipts: what was forwarded, when and to whom, signed and dated by the log (docs/spec/receipts.md)."""
