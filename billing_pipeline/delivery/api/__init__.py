"""Drafts through EASY Bill's API instead of files: one at most once, many in a row."""
