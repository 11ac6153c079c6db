"""Bills what the OMS says was done: one verified CSV per customer and month into EASY Bill's inbox."""
