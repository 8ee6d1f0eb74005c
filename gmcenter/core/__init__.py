"""What every layer stands on: settings, database sessions, errors, vault, clock, logging, paging."""
