"""Memory, energy and latency: a ``Network``, a ``Mapping`` and an ``Activity`` become a ``Cost``."""
