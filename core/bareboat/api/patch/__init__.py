"""The patch formats: RFC 6902 (``jsonpatch``), RFC 7386 (``merge``), Kubernetes' strategic merge (``strategic``). Trees in, trees out."""
