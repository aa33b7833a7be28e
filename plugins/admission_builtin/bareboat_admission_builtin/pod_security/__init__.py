"""PodSecurity: the levels baseline and restricted, by namespace labels, to enforce, to audit and to warn."""
