"""Scripts that draw our own art. Their output is committed under assets/, so that a build needs none of this."""
