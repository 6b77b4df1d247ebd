"""Figures: each function draws a finished noun on ``ax`` and returns the artists.

Nothing here computes, and nothing but ``save`` writes files.
"""
