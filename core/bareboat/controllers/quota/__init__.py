"""ResourceQuota: what a namespace uses, counted again from its objects. Refusing what would be too much is admission's."""
