"""Claims: sentence → attacks → evidence → verdict."""
