"""One cluster: its connection, the catalogue of kinds, watching and reading its objects."""
