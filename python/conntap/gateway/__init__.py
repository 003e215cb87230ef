"""A gateway's state as texts: rule sets, settings, modules, interfaces, routes; live, from files or a bundle."""
