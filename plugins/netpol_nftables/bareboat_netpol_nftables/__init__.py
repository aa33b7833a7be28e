"""NetworkPolicies through nftables."""
