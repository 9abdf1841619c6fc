"""neurodeploy"""
