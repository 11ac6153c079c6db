"""The command line, thin: arguments and settings in, lines or JSON out."""
