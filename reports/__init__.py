"""Tables, figures and the page that shows them. Takes tables, computes no cost.

`Table`, `Section` and `Report` are plain descriptions; `write` turns a report into a folder with
one self-contained HTML page, a CSV file of every table and an SVG and PNG file of every figure.
The figure functions are in `reports.figures`. Importing this room imports neither matplotlib nor
jinja2.
"""

from reports.figures import Figure
from reports.page import Highlight, Report, Section, write
from reports.tables import Table, write_csv

__all__ = ["Figure", "Highlight", "Report", "Section", "Table", "write", "write_csv"]
