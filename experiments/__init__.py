"""What is measured: settings in, run records out."""
