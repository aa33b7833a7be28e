"""One PostgreSQL for all tests here, a schema for each test."""

from bareboat.testing.postgres import postgres

__all__ = ["postgres"]
