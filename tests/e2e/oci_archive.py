"""Makes images and the archives that hold them, from nothing but bytes."""

import gzip
import hashlib
import io
import json
import platform
import tarfile

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(*entries) -> bytes:
    """@param entries (name, content) for a file, or (name, content, {attributes of tarfile.TarInfo})."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(content)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def directory(name: str, **more):
    return name, b"", {"type": tarfile.DIRTYPE, "mode": 0o755, **more}


def link(name: str, target: str):
    return name, b"", {"type": tarfile.SYMTYPE, "linkname": target}


def busybox() -> bytes:
    """A layer with a shell and what goes with it, from Debian's package busybox-static."""
    with open("/bin/busybox", "rb") as program:
        shell = program.read()
    tools = "sh ls cat echo id pwd env stat test touch sleep head wc".split()
    return tar(
        directory("bin"), ("bin/busybox", shell, {"mode": 0o755}), *[link(f"bin/{tool}", "busybox") for tool in tools],
        directory("etc"), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"), ("etc/removed", b"from below\n"),
        directory("srv/data"), ("srv/data/low", b"low\n"),
    )  # fmt: skip


def config_of(layers, **config) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [digest(each) for each in layers]}
    return json.dumps({"os": "linux", "architecture": ARCHITECTURE, "config": config, "rootfs": rootfs}).encode()


def oci_archive(layers, **config) -> bytes:
    blobs = {}

    def put(data: bytes, kind: str) -> dict:
        blobs[digest(data).removeprefix("sha256:")] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(data), "size": len(data)}

    manifest = {
        "schemaVersion": 2,
        "config": put(config_of(layers, **config), "config.v1+json"),
        "layers": [put(gzip.compress(each, 1), "layer.v1.tar+gzip") for each in layers],
    }
    index = {"schemaVersion": 2, "manifests": [put(json.dumps(manifest).encode(), "manifest.v1+json")]}
    return tar(
        ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", json.dumps(index).encode()),
        *[(f"blobs/sha256/{name}", data) for name, data in blobs.items()],
    )  # fmt: skip


def docker_archive(layers, **config) -> bytes:
    """As `docker save` writes it."""
    about = config_of(layers, **config)
    name = digest(about).removeprefix("sha256:") + ".json"
    places = [f"{number:064x}/layer.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": name, "RepoTags": ["image:latest"], "Layers": places}]
    return tar(*zip(places, layers), (name, about), ("manifest.json", json.dumps(manifest).encode()))
