"""GM-Center: the service layer of GEdge GM. Imports nothing of gmtool."""

__version__ = "3.0.0"
