"""API priority and fairness: which requests may run now, which wait, which are refused (flowcontrol.apiserver.k8s.io)."""
