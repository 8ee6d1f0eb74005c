"""GM-Tool: the web portal. It reaches the world only through gmcenter's services."""
