"""What is special about each kind: defaults, what clients may not set, validation. One module per family of kinds."""
