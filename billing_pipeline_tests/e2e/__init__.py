"""In a real Chromium, against a real `dagster dev`: what people do in Dagster's web UI, and what they see there."""
