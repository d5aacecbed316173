"""What one notebook alone needs: nbNN_recipes.py trains the rows of notebook NN, nbNN_*.py are its models and tasks."""
