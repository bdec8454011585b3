"""Heldtrue: the security backbone of a company that sells an API, and the page that proves it."""
