"""Names resolve by what is current; temporary objects hide permanent ones; errors offer the nearest name."""

from pathlib import Path

import pytest

from millstream.core.config import load
from millstream.core.errors import ConfigError
from millstream.core.table import logical_types as t
from millstream.sql.catalog.catalog_manager import CatalogError, CatalogManager
from millstream.sql.catalog.objects import (
    CatalogDatabase,
    CatalogDescriptor,
    CatalogFunction,
    CatalogTable,
    CatalogView,
)
from millstream.sql.parser.statements import PhysicalColumn

A = CatalogTable((PhysicalColumn("a", t.INT),))
B = CatalogTable((PhysicalColumn("b", t.INT),))
MEMORY = CatalogDescriptor({"type": "generic_in_memory"})


@pytest.fixture
def catalogs() -> CatalogManager:
    return CatalogManager(load())


def test_paths_resolve_by_what_is_current(catalogs: CatalogManager) -> None:
    catalogs.create_catalog("c", MEMORY)
    catalogs.create_database(("c", "d"), CatalogDatabase())
    catalogs.put(("c", "d", "orders"), A)
    assert catalogs.resolve(("c", "d", "orders")).relation == A
    assert catalogs.find(("orders",)) is None
    catalogs.use_catalog("c")
    assert catalogs.current_database == "default"
    assert catalogs.resolve(("d", "orders")).name == "c.d.orders"
    catalogs.use_database(("d",))
    assert catalogs.resolve(("orders",)).path == ("c", "d", "orders")


def test_errors_offer_the_nearest_name(catalogs: CatalogManager) -> None:
    catalogs.put(("orders",), A)
    with pytest.raises(CatalogError, match=r"unknown table or view order in default_catalog.*Did you mean orders\?"):
        catalogs.resolve(("order",))
    with pytest.raises(CatalogError, match="unknown database x in the catalog default_catalog"):
        catalogs.resolve(("x", "orders"))
    with pytest.raises(CatalogError, match=r"unknown catalog default_catalogue.*Did you mean default_catalog\?"):
        catalogs.use_catalog("default_catalogue")


def test_a_temporary_table_hides_the_permanent_one(catalogs: CatalogManager) -> None:
    catalogs.put(("t",), A)
    catalogs.put(("t",), B, temporary=True)
    assert catalogs.resolve(("t",)).relation == B
    with pytest.raises(CatalogError, match="DROP TEMPORARY TABLE it first"):
        catalogs.drop(("t",), tables=True, temporary=False, if_exists=False)
    catalogs.drop(("t",), tables=True, temporary=True, if_exists=False)
    assert catalogs.resolve(("t",)).relation == A


def test_existing_names(catalogs: CatalogManager) -> None:
    assert catalogs.put(("t",), A)
    assert not catalogs.put(("t",), B, if_not_exists=True)
    with pytest.raises(CatalogError, match="exists already"):
        catalogs.put(("t",), B)
    catalogs.alter(("t",), B)
    assert catalogs.resolve(("t",)).relation == B
    catalogs.rename(("t",), ("u",))
    assert catalogs.relations("default_catalog", "default_database") == ["u"]


def test_tables_and_views_are_told_apart(catalogs: CatalogManager) -> None:
    catalogs.put(("t",), A)
    catalogs.put(("v",), CatalogView("SELECT 1"))
    assert catalogs.tables("default_catalog", "default_database") == ["t"]
    assert catalogs.views("default_catalog", "default_database") == ["v"]
    with pytest.raises(CatalogError, match="is a view"):
        catalogs.drop(("v",), tables=True, temporary=False, if_exists=True)


def test_databases_that_hold_something_or_are_current_stay(catalogs: CatalogManager) -> None:
    catalogs.create_database(("d",), CatalogDatabase())
    catalogs.put(("d", "t"), A)
    with pytest.raises(CatalogError, match="holds 1 objects"):
        catalogs.drop_database(("d",))
    catalogs.drop_database(("d",), cascade=True)
    with pytest.raises(CatalogError, match="is current"):
        catalogs.drop_database(("default_database",))
    catalogs.drop_database(("d",), if_exists=True)


def test_functions(catalogs: CatalogManager) -> None:
    catalogs.put_function(("Fn",), CatalogFunction("m.f"))
    catalogs.put_function(("fn",), CatalogFunction("m.temp"), temporary=True)
    catalogs.put_function(("sys",), CatalogFunction("m.sys"), temporary=True, system=True)
    assert catalogs.function(("FN",)) == CatalogFunction("m.temp")
    catalogs.drop_function(("fn",), temporary=True, system=False, if_exists=False)
    assert catalogs.function(("default_database", "fn")) == CatalogFunction("m.f")
    assert catalogs.system_function("SYS") == CatalogFunction("m.sys")
    assert catalogs.functions("default_catalog", "default_database") == ["fn", "sys"]
    with pytest.raises(CatalogError, match="unknown function fm"):
        catalogs.drop_function(("fm",), temporary=False, system=False, if_exists=False)


def test_a_store_in_files_remembers_catalogs(tmp_path: Path) -> None:
    settings = load(
        overrides={"table.catalog-store.kind": "file", "table.catalog-store.file.path": str(tmp_path / "store")}
    )
    first = CatalogManager(settings)
    first.create_catalog("c", CatalogDescriptor({"type": "file", "path": str(tmp_path / "c")}, "mine"))
    first.put(("c", "default", "t"), A)
    second = CatalogManager(settings)
    assert second.catalogs() == ["c", "default_catalog"]
    assert second.resolve(("c", "default", "t")).relation == A
    assert second.catalog_descriptor("c").comment == "mine"
    second.drop_catalog("c")
    assert CatalogManager(settings).catalogs() == ["default_catalog"]


def test_a_store_in_files_needs_a_directory() -> None:
    with pytest.raises(ConfigError, match=r"table\.catalog-store\.file\.path names no directory"):
        CatalogManager(load(overrides={"table.catalog-store.kind": "file"}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "has no option 'type'"),
        ({"type": "files"}, r"unknown type 'files'.*Did you mean 'file'\?"),
        ({"type": "file"}, "needs the option 'path'"),
        ({"type": "generic_in_memory", "path": "x"}, "has no option 'path'"),
    ],
)
def test_catalogs_that_cannot_be_made(catalogs: CatalogManager, given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        catalogs.create_catalog("c", CatalogDescriptor(given))
    assert catalogs.catalogs() == ["default_catalog"]
