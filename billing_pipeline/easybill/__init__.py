"""EASY Bill's formats: a customer's month as a document, its exact CSV bytes and their check, and the REST client.

Belongs here: how EASY Bill wants to be told. Does not: what is billed (`billing/`), when and where it is sent
(`delivery/`). Nothing here rounds; nothing but `api` opens a connection.
"""
