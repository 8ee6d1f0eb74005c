"""The `gm` command."""
