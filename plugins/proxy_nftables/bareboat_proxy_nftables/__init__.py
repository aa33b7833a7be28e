"""Service addresses of one node through nftables."""
