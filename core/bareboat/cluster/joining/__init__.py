"""How machines come in: bootstrap tokens (``tokens``), a cluster prepared for it (``init``), finding and trusting it (``discovery``),
a certificate of one's own (``certificates``), and all of it in order (``join``)."""
