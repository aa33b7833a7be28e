"""What an operator did that cannot work, with the remedy in the text."""


class ClusterError(Exception):
    """The command cannot be carried out; nothing was changed."""
