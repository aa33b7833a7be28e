"""The overlay network: cni_bridge with VXLAN between the nodes."""
