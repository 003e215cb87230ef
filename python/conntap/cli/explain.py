"""`conntap explain`: the story of a connection, packet by packet."""
