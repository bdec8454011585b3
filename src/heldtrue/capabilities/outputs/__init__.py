"""Outputs: what transforms make of payloads, sealed beside them and erased with them."""
