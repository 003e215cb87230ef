"""conntap: Linux connection tracking, live."""
