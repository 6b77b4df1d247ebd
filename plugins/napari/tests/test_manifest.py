"""What napari is told of the plugin: that it is valid, that everything named is there, and what files it is offered."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from napari._app_model.constants import MenuId
from npe2 import PluginManifest

from stemdisp.io.formats import SUFFIXES


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-stemdisp")


def test_everything_named_can_be_imported(manifest):
    manifest.validate_imports()


def test_every_command_is_used(manifest):
    given = manifest.contributions
    used = {one.command for one in (*given.readers, *given.writers, *given.sample_data, *given.widgets)}
    assert {command.id for command in given.commands} == used


def test_menus_are_those_that_plugins_may_add_to(manifest):
    assert set(manifest.contributions.menus) <= {menu.value for menu in MenuId.contributables()}


def test_every_format_of_the_core_is_offered(manifest):
    patterns = [pattern for reader in manifest.contributions.readers for pattern in reader.filename_patterns]
    assert not [suffix for suffix in SUFFIXES if not any(fnmatch(f"image{suffix}", pattern) for pattern in patterns)]
    assert sum(reader.accepts_directories for reader in manifest.contributions.readers) == 1
