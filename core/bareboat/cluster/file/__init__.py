"""The cluster file, ``bareboat.yaml``: its shape, reading it with line numbers, loading the plugins it names."""
