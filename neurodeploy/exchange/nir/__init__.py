"""Import of NIR graphs as a ``Network`` (reading, repair, lowering, quantisation), and export of a ``Network`` to NIR."""
