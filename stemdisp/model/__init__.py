"""Frozen nouns: no algorithm, no files, no drawing."""
