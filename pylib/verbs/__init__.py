"""The verbs of the command line: one module each, with HELP, arguments() and run()."""
