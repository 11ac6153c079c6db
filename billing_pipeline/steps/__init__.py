"""What a run does, step by step, in plain Python: each step joins the rooms before it, by the settings."""
