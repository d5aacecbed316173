"""What every notebook teaches with: the source on the page, predictions, claims."""
