"""The typed binder: names to columns, calls to functions, operators to plan nodes."""
