"""A package of somebody else: it adds a row to every table of neurodeploy and touches none of its files."""
