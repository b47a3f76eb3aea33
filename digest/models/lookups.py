"""`among`: rows of many keys, given to the database as one value instead of one for each."""

import json
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, ForeignKey, Lookup
from django.db.models.sql.compiler import SQLCompiler


@Field.register_lookup
@ForeignKey.register_lookup
class Among(Lookup):
    """`pk__among=[1, 2]`: as `pk__in` with whole numbers, of which there may be any number on any database."""

    lookup_name = "among"

    def get_prep_lookup(self) -> list[int]:
        return list(self.rhs)

    def get_db_prep_lookup(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return "%s", [value if connection.vendor == "postgresql" else json.dumps(value)]

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.get_db_prep_lookup(self.rhs, connection)
        shape = "{} = ANY({})" if connection.vendor == "postgresql" else "{} IN (SELECT value FROM json_each({}))"
        return shape.format(left, right), [*left_values, *right_values]
