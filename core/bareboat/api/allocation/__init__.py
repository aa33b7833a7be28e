"""What Services are given: cluster addresses and node ports."""
