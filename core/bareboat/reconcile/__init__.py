"""Level-triggered reconciling: informers (what is), queues (which keys), controllers (what to do). Works over any client."""
