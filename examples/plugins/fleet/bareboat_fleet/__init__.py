"""An example: one plugin that brings one of each that is no policy."""
