"""The cluster's certificates and keys: made on first start, kept, renewed when near their end."""
