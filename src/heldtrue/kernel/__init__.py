"""What everything else stands on: ids, errors, the clock, secret values."""
