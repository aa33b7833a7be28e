"""Any CRI runtime behind its socket, and our runtimes on a CRI socket."""
