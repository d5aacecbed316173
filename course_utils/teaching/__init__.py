"""What every notebook teaches with: the package's code on the page, questions to commit to, claims with numbers."""
