"""Catalogs in memory and in files hold the same objects; a file that is damaged is named."""

from pathlib import Path

import pytest

from millstream.core.errors import ExternalError
from millstream.sql.catalog.catalog import Catalog, MemoryCatalog
from millstream.sql.catalog.ddl_text import create_table
from millstream.sql.catalog.file_catalog import FileCatalog
from millstream.sql.catalog.objects import CatalogDatabase, CatalogFunction, CatalogTable, CatalogView
from millstream.sql.catalog.table_definition import table_of
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import CreateTable

DDL = """
CREATE TABLE t (
  id BIGINT NOT NULL COMMENT 'it''s',
  `a b` ROW<x INT, y ARRAY<STRING>>,
  twice AS id * 2,
  ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) COMMENT 'c' DISTRIBUTED BY HASH(id) INTO 4 BUCKETS PARTITIONED BY (`a b`) WITH ('connector' = 'x', 'q' = 'it''s')
"""


def table(text: str = DDL, like: CatalogTable | None = None) -> CatalogTable:
    statement = parse_statement(text)
    assert isinstance(statement, CreateTable)
    return table_of(statement, like=like)


@pytest.fixture(params=["memory", "file"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    return MemoryCatalog("default") if request.param == "memory" else FileCatalog(tmp_path / "c", "default")


def test_objects_come_back_as_they_were_put(catalog: Catalog) -> None:
    view = CatalogView("SELECT 1", ("a",), "cat", "db", "comment")
    catalog.put_relation("default", "strange/name .`x", table())
    catalog.put_relation("default", "v", view)
    catalog.put_function("default", "Fn", CatalogFunction("m.f"))
    assert catalog.relation("default", "strange/name .`x") == table()
    assert catalog.relation("default", "v") == view
    assert catalog.function("default", "fN") == CatalogFunction("m.f")
    assert catalog.relations("default") == ["strange/name .`x", "v"]
    assert catalog.functions("default") == ["fn"]
    catalog.remove_relation("default", "v")
    catalog.remove_function("default", "fn")
    assert catalog.relation("default", "v") is None
    assert catalog.function("default", "fn") is None


def test_databases(catalog: Catalog) -> None:
    catalog.put_database("..", CatalogDatabase({"k": "v"}, "c"))
    assert catalog.databases() == ["..", "default"]
    assert catalog.database("..") == CatalogDatabase({"k": "v"}, "c")
    catalog.put_relation("..", "t", table())
    catalog.put_database("..", CatalogDatabase())
    assert catalog.relations("..") == ["t"]
    catalog.remove_database("..")
    assert catalog.databases() == ["default"]
    assert catalog.relation("..", "t") is None


def test_another_process_sees_what_a_file_catalog_holds(tmp_path: Path) -> None:
    FileCatalog(tmp_path, "default").put_relation("default", "t", table())
    found = FileCatalog(tmp_path, "default").relation("default", "t")
    assert isinstance(found, CatalogTable)
    assert found.watermark is not None
    assert found.watermark.text == "ts - INTERVAL '5' SECOND"
    assert found.defined_at == str(tmp_path / "default" / "t.table.sql")


@pytest.mark.parametrize("content", ["CREATE TABEL", "SELECT 1"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    catalog = FileCatalog(tmp_path, "default")
    (tmp_path / "default" / "t.table.sql").write_text(content)
    with pytest.raises(ExternalError, match=r"t\.table\.sql"):
        catalog.relation("default", "t")


def test_the_ddl_of_a_table_defines_it_again() -> None:
    assert table(create_table(("c", "d", "t"), table())) == table()


def test_like_takes_from_the_other_table() -> None:
    other = table("CREATE TABLE o (a INT, b AS a + 1, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('k'='1', 'l'='2')")
    merged = table("CREATE TABLE n (c INT) WITH ('k'='9') LIKE o", like=other)
    assert merged.names == ("a", "b", "ts", "c")
    assert merged.options == {"k": "9", "l": "2"}
    assert merged.watermark == other.watermark
    bare = table("CREATE TABLE n (c INT) WITH ('k'='9') LIKE o (EXCLUDING ALL)", like=other)
    assert bare.names == ("a", "ts", "c")
    assert (bare.options, bare.watermark) == ({"k": "9"}, None)
    own = table(
        "CREATE TABLE n (WATERMARK FOR ts AS ts - INTERVAL '1' DAY) LIKE o (OVERWRITING WATERMARKS)", like=other
    )
    assert own.watermark is not None
    assert own.watermark.text == "ts - INTERVAL '1' DAY"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE TABLE n (a STRING) LIKE o", "both tables have a column a"),
        ("CREATE TABLE n (WATERMARK FOR ts AS ts) LIKE o", "both tables have a watermark"),
        ("CREATE TABLE n WITH ('k'='2') LIKE o (INCLUDING OPTIONS)", "both tables have the option 'k'"),
        ("CREATE TABLE n LIKE o (OVERWRITING PARTITIONS)", "OVERWRITING PARTITIONS does not exist"),
        ("CREATE TABLE n (PRIMARY KEY (tss) NOT ENFORCED) LIKE o", "Did you mean ts?"),
        ("CREATE TABLE n (c AS a, PRIMARY KEY (c) NOT ENFORCED) LIKE o", "no physical column"),
    ],
)
def test_like_that_cannot_hold(text: str, message: str) -> None:
    other = table("CREATE TABLE o (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('k'='1')")
    with pytest.raises(Exception, match="(?s).*" + message.replace("?", r"\?")):
        table(text, like=other)
