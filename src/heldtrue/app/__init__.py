"""The running product: settings, processes, web server, worker and command line."""
