"""Speed of the event-driven engine compared with other simulators that compute the same integers."""
