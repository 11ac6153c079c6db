"""The month as people read it: outcomes, counts, totals. Reads what delivery knows; decides and sends nothing."""
