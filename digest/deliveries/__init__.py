"""The ledger at work: queue what is owed, send it, settle it, sweep up after a crash."""
