"""Which requests a webhook or a policy is about: rules, versions, selectors and conditions."""
