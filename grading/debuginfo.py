# SPDX-License-Identifier: MIT
"""Structures and source lines from a kernel's DWARF.

Reading DWARF takes about a second, so what is needed of it is kept in a JSON file beside
the kernel, under the checksum of the kernel it was made from. (Not a pickle: a pickle in
a tree that was handed in could run code here.)
"""

import bisect
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import GradingError, GuestError

_VERSION = 2


@dataclass(frozen=True)
class Member:
    offset: int
    size: int  # bytes
    type: str  # name of the structure it is, or it is an array of, or ""


class DebugInfo:
    """Layouts of structures, values of enumerators, and source lines."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._structs: dict[str, tuple[int, dict[str, Member]]] = {
            name: (size, {member: Member(*layout) for member, layout in members.items()})
            for name, (size, members) in content["structs"].items()
        }
        self._enumerators: dict[str, int] = content["enumerators"]
        self._files: list[str] = content["files"]
        self._rows: list[list[int]] = content["rows"]

    @classmethod
    def of(cls, kernel: Path) -> "DebugInfo":
        """From the cache beside the kernel if that is of this kernel, else from its DWARF."""
        try:
            key = [_VERSION, hashlib.sha256(kernel.read_bytes()).hexdigest()]
        except OSError as error:
            raise GradingError(f"cannot read {kernel}: {error.strerror}") from error
        cache = kernel.with_name(kernel.name + ".debuginfo.json")
        try:
            content = json.loads(cache.read_text())
            if content["key"] == key:
                return cls(content)
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or damaged: make it again
        content = {"key": key, **_read_dwarf(kernel)}
        _write_atomically(cache, json.dumps(content, separators=(",", ":")))
        return cls(content)

    def size_of(self, struct_name: str) -> int:
        return self._struct(struct_name)[0]

    def member(self, struct_name: str, path: str) -> Member:
        """A member, also of a member: member("page", "link.next")."""
        offset = 0
        found = None
        for name in path.split("."):
            try:
                found = self._struct(struct_name)[1][name]
            except KeyError:
                raise GuestError(f"struct {struct_name} has no member {name}") from None
            offset += found.offset
            struct_name = found.type
        assert found is not None  # split() never returns an empty list
        return Member(offset, found.size, found.type)

    def enumerator(self, name: str) -> int:
        try:
            return self._enumerators[name]
        except KeyError:
            raise GuestError(f"the kernel's debugging information has no {name}") from None

    def _struct(self, name: str) -> tuple[int, dict[str, Member]]:
        try:
            return self._structs[name]
        except KeyError:
            raise GuestError(f"the kernel's debugging information has no struct {name}") from None

    def line_at(self, address: int) -> str | None:
        """FILE:LINE of an instruction, the file's path relative to where it was compiled."""
        i = bisect.bisect_right(self._rows, [address, 1 << 32, 0]) - 1
        if i < 0 or self._rows[i][2] == 0:
            return None
        _, file, line = self._rows[i]
        return f"{self._files[file]}:{line}"


def _write_atomically(path: Path, text: str) -> None:
    """So that two graders of one kernel never read half a file. Not being able to is fine."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def _read_dwarf(kernel: Path) -> dict[str, Any]:
    # Only here: importing pyelftools takes longer than everything else at start-up.
    from elftools.common.exceptions import ELFError
    from elftools.construct import String
    from elftools.elf.elffile import ELFFile

    structs: dict[str, Any] = {}
    enumerators: dict[str, int] = {}
    files: dict[str, int] = {}
    rows: list[list[int]] = []
    try:
        with kernel.open("rb") as stream:
            dwarf = ELFFile(stream).get_dwarf_info()
            for unit in dwarf.iter_CUs():
                # Clang's checksums of files have a form that old pyelftools do not know.
                unit.structs.Dwarf_dw_form.setdefault("DW_FORM_data16", String("", 16))
                _read_types(unit, structs, enumerators)
                _read_lines(dwarf, unit, files, rows)
    except ELFError as error:
        raise GradingError(f"cannot read the debugging information of {kernel}: {error}") from error
    # At one address the end of a sequence (line 0) comes before the start of the next.
    rows.sort(key=lambda row: (row[0], row[2] != 0))
    return {"structs": structs, "enumerators": enumerators, "files": list(files), "rows": rows}


def _read_types(unit: Any, structs: dict[str, Any], enumerators: dict[str, int]) -> None:
    for die in unit.iter_DIE_children(unit.get_top_DIE()):
        if die.tag == "DW_TAG_enumeration_type":
            for child in die.iter_children():
                enumerators[_name(child)] = child.attributes["DW_AT_const_value"].value
        elif die.tag == "DW_TAG_structure_type" and "DW_AT_byte_size" in die.attributes:
            name = _name(die)
            if name and name not in structs:
                structs[name] = [die.attributes["DW_AT_byte_size"].value, _read_members(die)]


def _read_members(struct_die: Any) -> dict[str, list[Any]]:
    members = {}
    for child in struct_die.iter_children():
        location = child.attributes.get("DW_AT_data_member_location")
        if child.tag == "DW_TAG_member" and location:
            members[_name(child)] = [location.value, *_type(child)]
    return members


def _name(die: Any) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return str(attribute.value.decode()) if attribute else ""


def _type(die: Any) -> tuple[int, str]:
    """Size in bytes of what a DIE's type describes, and the structure's name if it is one."""
    count = 1
    while "DW_AT_type" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_type")
        if die.tag == "DW_TAG_array_type":
            for dimension in die.iter_children():
                attributes = dimension.attributes
                if "DW_AT_upper_bound" in attributes:
                    count *= attributes["DW_AT_upper_bound"].value + 1
                elif "DW_AT_count" in attributes:
                    count *= attributes["DW_AT_count"].value
        elif "DW_AT_byte_size" in die.attributes:
            break
        elif die.tag == "DW_TAG_pointer_type":
            return 8 * count, ""
    size = die.attributes.get("DW_AT_byte_size")
    name = _name(die) if die.tag == "DW_TAG_structure_type" else ""
    return (size.value * count if size else 0), name


def _read_lines(dwarf: Any, unit: Any, files: dict[str, int], rows: list[list[int]]) -> None:
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        return
    base = unit.get_top_DIE().attributes["DW_AT_comp_dir"].value.decode()
    paths = [_path(program, entry, base) for entry in program["file_entry"]]
    # Versions before 5 count files from 1.
    first = 0 if program["version"] >= 5 else 1
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        path = paths[state.file - first]
        file = files.setdefault(path, len(files))
        rows.append([state.address, file, 0 if state.end_sequence else state.line])


def _path(program: Any, entry: Any, base: str) -> str:
    directories = program["include_directory"]
    index = entry.dir_index
    if program["version"] < 5:
        directory = directories[index - 1].decode() if index else ""
    else:
        directory = directories[index].decode()
    path = os.path.normpath(os.path.join(base, directory, entry.name.decode()))
    return os.path.relpath(path, base) if path.startswith(base + "/") else path
