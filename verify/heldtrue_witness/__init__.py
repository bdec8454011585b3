"""A witness for transparency logs (C2SP tlog-witness) that fits on a small machine and in an hour of reading."""
