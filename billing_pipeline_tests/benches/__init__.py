"""What is fast, measured: `make bench`. Each bench measures its floor in the same run; some have a goal.

A floor is the least work that any solution would have to do, so that a figure can be judged on any machine. What
is right and wrong belongs to the tests, what survives a fault to `billing_pipeline_tests.faults`.
"""
