"""The ledger: what happened, committed to in a public log and proven from it."""
