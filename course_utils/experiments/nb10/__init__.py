"""Notebook 10: its own models and measurements, and the recipes of its rows on the scoreboard."""
