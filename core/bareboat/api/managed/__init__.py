"""Who owns which field of an object: managedFields, and server-side apply that is built on them (KEP-555).

`sets` are sets of field paths, `atoms` the shape of a kind as ownership sees it, `walks` compare and collect, `merging` and
`pruning` make the applied object, `entries` is what is written in metadata, `manager` puts these together.
"""
