"""The admission chain that the kernel runs, and the plugins that every cluster has (``builtin``)."""
