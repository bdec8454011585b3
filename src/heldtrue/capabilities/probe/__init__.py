"""The probe: the routes of a customer's own API, attacked without, with bad and with another's credentials."""
