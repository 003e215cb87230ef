"""A gateway's state as texts: its rule sets, settings, modules, interfaces, routes. From the live system, files or a bundle."""
