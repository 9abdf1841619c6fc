"""What measures neurodeploy itself: speed beside other simulators, methods side by side, estimates beside silicon."""
