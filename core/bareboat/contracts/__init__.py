"""What a driver author imports: abstract base classes, frozen value types, errors and hook specifications.

One module per contract. Values are frozen ``msgspec.Struct``s so that every argument can cross a process boundary.
Nothing here does I/O, and nothing here imports the kernel.
"""
