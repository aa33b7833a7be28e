"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules of the cluster's own, written as expressions."""
