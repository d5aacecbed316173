"""What one notebook alone needs: the folder nbNN holds its models, its tasks and the recipes of its rows."""
