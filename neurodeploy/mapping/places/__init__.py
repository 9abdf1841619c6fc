"""Parts on cores: spots, placement by traffic, the finished mapping, messages between cores."""
