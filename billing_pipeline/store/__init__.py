"""What is kept as files: bytes and frames by their content, on a folder or an object store; and the home's lock."""
