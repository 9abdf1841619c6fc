"""What a network is written for besides our own engines: simulators and chips of others, one folder each."""
