"""Users of OpenID Connect issuers: who is believed (``options``), by which ``keys``; ``tokens`` are checked, ``mapping`` makes users."""
