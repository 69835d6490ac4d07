"""Specs at a revision of the repository in which the command runs: `HEAD~1:nets/unet.net`, read by the program `git`.

Nothing is checked out. A file and all that it imports come from the one commit that the revision names, never from the
working tree, and the folder that imports must stay inside is found there, too.
"""

from __future__ import annotations

import os
import re
import subprocess

from netspec.api import open_spec
from netspec.diagnostics.model import Refusal
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.reading import Files, decode
from netspec.source import Source

#: Seconds that one call of git may take; a partial clone may have to fetch.
_PATIENCE = 60
_SPEC = re.compile(r"(?P<revision>[^:]+):(?P<path>.+?\.net)(?::(?P<net>\w+))?", re.DOTALL)
_FOLDER = os.sep


def open_any(spec: str, limits: Limits = DEFAULT_LIMITS, stdin: bytes | None = None) -> tuple[Source, str | None]:
    """The source that a SPEC or `REVISION:path.net[:net]` means, and the net it names, if any.

    The name of an existing file is that file, whatever is in it, and `C:\\net.net` a path. Raises `Refusal`: NS001 for no such
    file, NS023 without git or a repository, NS024 for no such revision, and what `api.open_spec` raises.
    """
    found = _SPEC.fullmatch(spec)
    if found is None or _is_file(spec) or spec.startswith(("-:", "zoo.")):
        return open_spec(spec, limits, stdin)
    revision = Revision(found["revision"])
    return revision.open(found["path"], limits), found["net"]


def _is_file(spec: str) -> bool:
    """Whether a SPEC with a colon is a file (or a net of one) whose name has colons in it."""
    return os.path.exists(spec) or os.path.exists(spec.rpartition(":")[0]) or re.match(r"[A-Za-z]:[\\/]", spec) is not None


class Revision(Files):
    """The files of one commit. Paths inside are `/COMMIT/folder/file.net`: no file of the disk is called so."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._top = _git("rev-parse", "--show-toplevel").removesuffix("\n")
        self._prefix = _git("rev-parse", "--show-prefix").removesuffix("\n")
        self._commit = self._resolve(name)

    def _resolve(self, name: str) -> str:
        try:
            if name.startswith("-") or "\0" in name:
                raise _Failed("it is no name of a revision")
            return _git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}").strip()
        except _Failed as failure:
            helps = ("`git log --oneline` lists revisions",)
            raise Refusal("NS024", f"there is no revision `{name}`", notes=failure.notes, helps=helps, status=2) from None

    def open(self, path: str, limits: Limits) -> Source:
        """The file that a path means from the folder in which the command runs."""
        inside = os.path.relpath(os.path.realpath(path), os.path.realpath(self._top)) if os.path.isabs(path) else self._prefix + path
        return self.read(os.path.join(_FOLDER, self._commit, inside), limits, path)

    def real(self, path: str) -> str:
        """The path without `.` and `..`; links are not followed, and not read."""
        return os.path.normpath(path)

    def exists(self, path: str) -> bool:
        """Whether the commit has the file. It has `.git`: the repository's top is where a project ends at the latest."""
        inside = self._inside(path)
        return inside == ".git" or bool(inside and self._entry(inside)[0])

    def read(self, path: str, limits: Limits, name: str) -> Source:
        """The file as it was; see `reading.read_source`."""
        inside = self._inside(path)
        shown = f"{self._name}:{inside or name}"
        kind, digest, size = self._entry(inside) if inside else ("", "", 0)
        if kind not in ("100644", "100755"):
            what = "is a link" if kind == "120000" else "is no file" if kind else "is not there: the revision has no such file"
            raise Refusal("NS001", f"{shown} {what}", status=2)
        if size > limits.file_bytes:
            raise Refusal("NS003", f"{shown} is larger than {limits.file_bytes:,} bytes (limit `file_bytes`)", status=1)
        text = decode(_git_bytes("cat-file", "blob", digest), shown, path, limits)
        return Source(shown, text.text, path, self)

    def _inside(self, path: str) -> str:
        """A path from the top of the repository, as git writes it; empty where it leads out."""
        inside = os.path.relpath(self.real(path), os.path.join(_FOLDER, self._commit)).replace(os.sep, "/")
        return "" if inside in (".", "..") or inside.startswith("../") else inside

    def _entry(self, inside: str) -> tuple[str, str, int]:
        """Mode, digest and size of a file in the commit; nothing where there is none."""
        listing = _git("--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", self._commit, "--", inside)
        for line in listing.split("\0"):
            facts, _, name = line.partition("\t")
            if name == inside:
                mode, _, digest, size = facts.split()
                return mode, digest, int(size) if size.isdigit() else 0
        return "", "", 0


class _Failed(Refusal):
    """Git said no; `notes` are its words."""

    def __init__(self, words: str) -> None:
        self.notes = tuple(line.strip() for line in words.strip().splitlines()[:3])
        super().__init__("NS023", "git cannot read the repository", notes=self.notes, status=2)


def _git(*arguments: str) -> str:
    return _git_bytes(*arguments).decode("utf-8", "surrogateescape")


def _git_bytes(*arguments: str) -> bytes:
    """What git writes. Raises `Refusal` NS023 where there is no git, `_Failed` where it fails."""
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=_PATIENCE)
    except FileNotFoundError:
        helps = ("install git, or compare two files",)
        raise Refusal("NS023", "reading a revision takes the program `git`, which is not installed", helps=helps, status=3) from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _Failed(str(error)) from None
    if done.returncode:
        raise _Failed(done.stderr.decode("utf-8", "replace"))
    return done.stdout
