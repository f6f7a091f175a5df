"""The site: settings, addresses, processes and health. Wiring only."""
