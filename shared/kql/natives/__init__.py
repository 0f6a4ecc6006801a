"""The Python behind the functions that SQL cannot say. Only plain values go in and out: no DuckDB, no binder."""
