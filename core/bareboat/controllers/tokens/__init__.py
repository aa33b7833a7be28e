"""Tokens in Secrets: bootstrap tokens are signed with and thrown away (``bootstrap``), those of accounts are filled in (``accounts``)."""
