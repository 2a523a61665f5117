"""From the answers of a listening study to a page, tables and numbers."""
