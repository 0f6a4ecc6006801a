"""Bound queries as a graph of SELECTs, of which only the columns that matter are written out."""
