"""How the ledger's tables came about: Alembic's environment, packaged so that an installed wheel can migrate.

Only migrations belong here. A migration is never changed once it has been released; `schema` says what the
tables are now.
"""
