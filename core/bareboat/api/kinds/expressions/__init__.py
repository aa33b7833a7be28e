"""CEL expressions inside objects, as far as validation needs them: syntax, and whether the names in them exist."""
