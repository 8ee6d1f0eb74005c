"""GM-Center's REST API: the FastAPI application that puts the domains' routes under one set of rules."""
