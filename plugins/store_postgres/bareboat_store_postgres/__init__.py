"""The PostgreSQL store driver."""
