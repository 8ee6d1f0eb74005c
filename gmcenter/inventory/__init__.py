"""The fleet as rows: what the clusters hold, in tables that filter, sort and page in milliseconds."""
