"""Speed of the event-driven engine beside other simulators of the same integers."""
