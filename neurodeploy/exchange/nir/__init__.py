"""NIR graphs to and from a ``Network``: read, repaired, taken apart, quantised; written with metadata for what NIR lacks."""
