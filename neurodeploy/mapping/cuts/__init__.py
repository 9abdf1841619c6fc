"""Ways to cut populations into parts that fit a core: one module for each split."""
