"""stemdisp in napari: open an image, find and refine its columns, correct them by hand, map how far they moved."""

__version__ = "0.1.0"
