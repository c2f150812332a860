"""How the book draws: a look, panels side by side, and what goes into them. What a paper's figures show stands with its pages."""
