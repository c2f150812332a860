"""What is shown: run records in, pages out."""
