"""Files into an inbox: one upload at most once, many over few connections, what is left over, what is taken back."""
