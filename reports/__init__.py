"""Tables, figures and the page that shows them. Takes tables, computes no cost."""
