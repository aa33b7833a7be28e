"""Another service decides: who a token is (``tokens``) and what a user may do (``access``)."""
