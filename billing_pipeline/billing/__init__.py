"""What is billed of a month: pure functions from the OMS's frames to invoice lines, totals and problems.

Belongs here: the billing rules and the file that sets them. Does not: reading the OMS (`oms/`), names and bytes
of a file (`easybill/`), sending and remembering (`delivery/`). Nothing here does I/O, but for reading the rules.
"""
