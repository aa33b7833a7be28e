"""Any CNI binaries as a network, and our networks as a CNI binary."""
