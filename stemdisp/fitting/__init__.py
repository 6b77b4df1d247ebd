"""Numerics on arrays: peaks, Fourier lattices, profiles and fits.  Nothing here knows microscopy."""
