"""The keys that sign for this instance: log, receipts and evidence; their rotation and their entries in the log."""
