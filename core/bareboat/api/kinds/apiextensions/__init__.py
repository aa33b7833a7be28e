"""CustomResourceDefinition: its own rules and those of the schemas in it."""
