"""The four SQL queries, packaged or from the deployer's folder, and their parameters `:period_start`, `:period_end`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from billing_pipeline.oms.contract import RELATIONS, Relation
from billing_pipeline.oms.oms_errors import OmsSettingWrong, OmsShapeWrong

_TOKEN: Final = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<comment>--[^\n]* | /\*.*?\*/)
      | (?<![:\w\\]) : (?P<parameter>period_start|period_end)\b
      | (?P<end>;) (?= (?: \s | --[^\n]* | /\*.*?\*/ )* \Z)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Query:
    """The SELECT for one relation; `where`: the file, for messages."""

    relation: Relation
    sql: str
    where: str

    def with_parameters(self, parameters: Mapping[str, str]) -> str:
        """The SQL with each parameter replaced by its text, without comments and without a closing semicolon.

        Quoted text and PostgreSQL's `::casts` are left alone.
        """

        def replace(token: re.Match[str]) -> str:
            if token["parameter"] is not None:
                return parameters[token["parameter"]]
            return token["quoted"] or " "

        return _TOKEN.sub(replace, self.sql)

    def validate_columns(self, names: Sequence[str]) -> None:
        """Raises OmsShapeWrong unless `names` has each column of the relation once, optional ones at most once."""
        if not names:
            raise self.failed("it yields no rows: it is not a SELECT")
        for column in self.relation.column_names:
            if (count := names.count(column)) != 1 and (count or column not in self.relation.optional_names):
                found = "there is no column" if count == 0 else f"there are {count} columns"
                raise self.failed(f"{found} {column}")

    def failed(self, reason: str) -> OmsShapeWrong:
        """The error to raise where this query, or the table behind it, does not match the contract."""
        return OmsShapeWrong(
            f"OMS relation {self.relation.name}: {reason} (query {self.where}); correct the OMS, or map it with"
            f" a {self.relation.name}.sql in the folder named by BILLING_OMS_QUERIES"
        )


def load_queries(dialect: str, folder: Path | None) -> Mapping[str, Query]:
    """The query of each relation: from `folder`, or the packaged ones ("sqlite" or "postgresql").

    Raises OmsSettingWrong where there is no such folder, OmsShapeWrong where one of its files is missing.
    """
    if folder is None:
        packaged = resources.files("billing_pipeline.oms").joinpath("queries", dialect)
        return {
            relation.name: _load(packaged, relation, f"packaged {dialect}/")
            for relation in RELATIONS.values()
        }
    if not folder.is_dir():
        raise OmsSettingWrong(
            f"BILLING_OMS_QUERIES: there is no folder {folder}; name one that holds {', '.join(_file_names())}"
        )
    return {relation.name: _load(folder, relation, f"{folder}/") for relation in RELATIONS.values()}


def _load(folder: Traversable, relation: Relation, prefix: str) -> Query:
    where = f"{prefix}{relation.name}.sql"
    try:
        sql = folder.joinpath(f"{relation.name}.sql").read_text("utf-8-sig")
    except FileNotFoundError:
        raise OmsShapeWrong(
            f"OMS relation {relation.name}: there is no {where}; BILLING_OMS_QUERIES needs"
            f" {', '.join(_file_names())}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise OmsShapeWrong(f"OMS relation {relation.name}: {where} cannot be read ({error})") from None
    if not sql.strip():
        raise OmsShapeWrong(
            f"OMS relation {relation.name}: {where} is empty; write a SELECT that yields its columns"
        )
    return Query(relation, sql, where)


def _file_names() -> list[str]:
    return [f"{name}.sql" for name in RELATIONS]
