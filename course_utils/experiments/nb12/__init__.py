"""Notebook 12: its own models and tasks, and the recipes of its rows on the scoreboard."""
