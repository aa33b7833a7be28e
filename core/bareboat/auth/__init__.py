"""Who asks (``authenticators``, ``tokens``, ``impersonation``) and whether they may (``authority``); access reviews (``reviews``)."""
