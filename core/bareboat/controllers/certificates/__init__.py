"""CertificateSigningRequests: approve what nodes may ask for, sign what is approved, forget what is old.

``requests`` reads a request and says what its signer thinks of it, ``controller`` acts. The key of the cluster's CA stays with the
assembly, which lends the signer a function.
"""
