"""The tests, one module for each group; `catalogue.py` collects them."""
