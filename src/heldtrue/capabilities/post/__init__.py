"""Mail that goes out: committed with its cause, sent over TLS, tried again until it is settled."""
