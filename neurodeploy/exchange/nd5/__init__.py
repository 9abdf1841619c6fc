"""neurodeploy's own network files (``.nd5``, HDF5), which hold every ``Network``; ``docs/nd5.md`` is their layout."""
