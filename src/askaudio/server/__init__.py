"""The web service and the search page."""
