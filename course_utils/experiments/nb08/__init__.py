"""Notebook 08: its measurements, and the recipes of its rows on the scoreboard."""
