"""Behemoth beside its peers, measured in the same run. Not part of the package."""
