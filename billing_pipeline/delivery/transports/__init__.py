"""Ways to an inbox, behind one small protocol: SFTP, FTPS, a folder."""
