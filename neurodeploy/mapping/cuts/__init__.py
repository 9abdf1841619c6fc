"""Ways to cut populations into core-sized parts, one module each."""
