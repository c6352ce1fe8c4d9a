"""Tables and JSON, one reader a format: each yields rows."""
