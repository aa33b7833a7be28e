"""The author's path: a new plugin's files, the kit run over them, and what the kernel would say against them."""
