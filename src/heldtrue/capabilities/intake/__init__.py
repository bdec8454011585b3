"""Take payloads in: sealed and hashed while they stream, durable before they are acknowledged."""
