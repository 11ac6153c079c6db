"""EASY Bill's formats: a customer's month as a document, its exact CSV bytes and their check, and the REST client.

Nothing here rounds; nothing but `api` opens a connection.
"""
