"""Places of parts: cores and routers, placement by traffic, messages between cores, and the finished mapping."""
