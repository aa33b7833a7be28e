"""CronJob: a Job at every moment of a schedule. ``times`` says which moment is due, ``controller`` starts and cleans up jobs."""
