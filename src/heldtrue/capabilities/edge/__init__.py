"""The edge: every request authenticated, scoped and limited in memory, behind whichever door it came through."""
