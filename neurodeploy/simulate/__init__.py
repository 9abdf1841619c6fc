"""Simulators: a ``Network`` and input events become an ``Activity``. No chip, no mapping, no torch."""
