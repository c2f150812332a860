"""The chapters, paper by paper: what each shows of its records."""
