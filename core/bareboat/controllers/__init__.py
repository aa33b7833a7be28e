"""The kernel's own controllers, one module each; ``registry`` lists them."""
