"""The bench: deliveries under kills, cuts, bad servers and company, judged by what the receiver saw.

`python -m billing_pipeline_tests.faults --full` runs all of it and prints what was promised beside what was reached;
a seeded sample of the same code runs under pytest (`test_sample`).

- `world`: a server, a ledger and a store, and the files to deliver
- `children`: one run in a process of its own, which may be told to die or to fall asleep
- `controls`: three naive ways to deliver, which must fail here; a bench that cannot fail proves nothing
- `judge`: the verdict, from the receivers' own log
- `status`: what `billing-pipeline status` says after each run, held against that log
- `kills`, `zombies`, `cuts`, `together`, `sftp_faults`, `ftps_faults`, `drafts`: one trial each
- `report`: the table
"""
