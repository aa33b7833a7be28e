"""The node agent: pods bound to this node become containers through its drivers, and their status goes back."""
