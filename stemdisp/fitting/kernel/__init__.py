"""The compiled fit: C++ that g++, Clang and MSVC build for the CPU, and NVRTC, from the same headers, for a GPU.

``_kernel`` is missing where nothing was built; :mod:`stemdisp.fitting` then computes with arrays.
"""
