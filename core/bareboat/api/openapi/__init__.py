"""OpenAPI v3 (one document per group and version) and v2 (one document), from the published definitions and the scheme."""
