"""Runs pgspot over SQL scripts: nothing that it finds is left unsaid.

usage: spot.py FILE...     (by the Python that has pgspot; FILE: a script, or several that run one after the other)
"""

import sys

from pglast import keywords, stream
from pgspot import cli, visitors

# pglast prints a parameter "interval" without its quotes, and then cannot read it again.
stream.TYPE_FUNC_NAME_KEYWORDS = keywords.TYPE_FUNC_NAME_KEYWORDS | keywords.COL_NAME_KEYWORDS

# Each function without a pinned search_path, and why it has none.
WITHOUT_SEARCH_PATH = [
    # A procedure that commits can have no SET clause: it sets search_path itself, at the start of each transaction.
    'extschema.vyx_evaluate("interval" text,stay interval)',
]

with_text_body = visitors.SQLVisitor.visit_CreateFunctionStmt


def visit_function(self, ancestors, node):
    """pgspot 0.9 knows bodies that are texts only, and stops at one in standard SQL.

    That is resolved when it is created, under the script's search_path, as the statements around it: so it is left to
    the visitor, which comes to it next with that state.
    """
    if node.sql_body is None:
        return with_text_body(self, ancestors, node)
    name = visitors.format_function(node)
    is_ours = len(node.funcname) == 2 and node.funcname[0].sval in self.state.created_schemas
    if not node.replace:
        self.state.created_functions.append(name)
    elif not is_ours and name not in self.state.created_functions:
        self.state.warn("PS002", name)
    return None


visitors.SQLVisitor.visit_CreateFunctionStmt = visit_function

with_known_variables = visitors.visit_plpgsql


def visit_plpgsql(state, node):
    """The parser knows no tables, so it does not know the fields of a variable that is a row of one.

    Where names are looked up in pg_catalog alone there is nothing else to be found in a body.
    """
    try:
        with_known_variables(state, node)
    except visitors.ParseError as error:
        if not (state.searchpath_secure and "is not a known variable" in str(error)):
            raise


visitors.visit_plpgsql = visit_plpgsql
# An upgrade may replace what the script before it has made, and that alone.
sys.argv[1:1] = ["--append"] + [f"--proc-without-search-path={name}" for name in WITHOUT_SEARCH_PATH]
cli.run()
