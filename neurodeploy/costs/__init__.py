"""Cost estimates: memory, energy and latency of a mapped network, from a ``Network``, a ``Mapping`` and an ``Activity``."""
