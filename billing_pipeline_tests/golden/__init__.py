"""Golden files: the exact bytes of documents written by hand, reviewed by eye, compared byte for byte.

`documents` holds what goes in, the `.csv` files what must come out. A file is made once, by
`python -m billing_pipeline_tests.golden.regenerate`, which never overwrites one: to change a golden file, delete it,
make it again and read the difference.
"""
