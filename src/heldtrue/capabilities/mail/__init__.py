"""Mail in: addresses, the strict SMTP listener, what is found out about senders, and the records of the domain."""
