"""The HTTP functions for operators, called with requests as the worker makes them, on Azurite."""
