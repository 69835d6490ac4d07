"""Figures: receptive fields, and what layers cost and how signals fare, as `.png`, `.svg` or `.pdf`. Needs matplotlib (`plot`)."""

from netspec.backends.plot.views import save_field_figure, save_summary_figure

__all__ = ["save_field_figure", "save_summary_figure"]
