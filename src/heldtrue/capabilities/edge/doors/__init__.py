"""Doors to the one decision: in an application (`asgi`), beside a proxy (`forward`), before an upstream (`proxy`)."""
