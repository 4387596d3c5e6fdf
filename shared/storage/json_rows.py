"""Many small rows as one value: the database makes the list, and one fetch brings it.

sqlite3 lets go of Python's lock and takes it again at each row that it fetches. In a server with a
few threads that is a fight for each of a hundred rows, and costs more than reading them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class JsonRows(FunctionElement[Any]):
    """``JsonRows(a, b)``: the rows of a query as a list of lists ``[[a, b], ...]``, in any order.

    Times come as ISO 8601 text, on SQLite without a zone (they are UTC). The list of no rows is
    empty on SQLite and None on PostgreSQL.
    """

    name = "json_rows"
    type = JSON()
    inherit_cache = True


@compiles(JsonRows, "sqlite")  # type: ignore[untyped-decorator, unused-ignore]
def _for_sqlite(element: JsonRows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


@compiles(JsonRows, "postgresql")  # type: ignore[untyped-decorator, unused-ignore]
def _for_postgresql(element: JsonRows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_agg(json_build_array({compiler.process(element.clauses, **options)}))"
