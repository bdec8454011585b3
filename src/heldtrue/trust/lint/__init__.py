"""The linter of security pages: what a page says, held against itself, the calendar and what can be proven."""
