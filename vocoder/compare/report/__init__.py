"""From the answers of a listening study to a page, tables and numbers."""

from vocoder.compare.report.write import write_report

__all__ = ["write_report"]
