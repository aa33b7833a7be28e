"""Server-side tables: columns (``columns.txt``), one row per object (``cells``), put together as a metav1.Table."""

from bareboat.api.tables.table import table

__all__ = ["table"]
