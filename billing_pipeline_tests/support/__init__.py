"""Helpers that tests of several rooms share: real servers, small fakes, required programs."""
