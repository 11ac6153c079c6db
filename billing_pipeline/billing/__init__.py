"""What is billed of a month: pure functions from the OMS's frames to invoice lines, totals and problems."""
