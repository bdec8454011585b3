"""The page on which a customer looks after its endpoints and deliveries, with a session token."""
