"""A Python wheel of one static binary, the very file that is in the archive:

    wheel.py TARGET BINARY VERSION OUTPUT-FOLDER

Wants SOURCE_DATE_EPOCH in the environment. Maturin would compile the binary again; a wheel is a zip of it and four texts
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/).
"""

import base64
import hashlib
import os
import pathlib
import sys
import time
import tomllib
import zipfile

target, binary, version, output = sys.argv[1:]
package = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["package"]
machine = target.partition("-")[0]
# A static binary runs on any libc: pip on glibc and on musl takes it by these tags.
TAGS = [f"{libc}_{machine}" for libc in ("manylinux_2_17", "manylinux2014", "musllinux_1_1")]
INFO = f"ecr_cli-{version}.dist-info"
DATE = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]

METADATA = f"""\
Metadata-Version: 2.4
Name: ecr-cli
Version: {version}
Summary: {package["description"]}
Keywords: {",".join(package["keywords"])}
License-Expression: {package["license"]}
License-File: LICENSE
Requires-Python: >=3.8
Project-URL: Source, {package["repository"]}
Description-Content-Type: text/markdown

{pathlib.Path("README.md").read_text()}"""
WHEEL = "Wheel-Version: 1.0\nGenerator: packaging/wheel.py\nRoot-Is-Purelib: false\n" + "".join(
    f"Tag: py3-none-{tag}\n" for tag in TAGS
)
FILES = {
    f"ecr_cli-{version}.data/scripts/ecr": (pathlib.Path(binary).read_bytes(), 0o755),
    f"{INFO}/METADATA": (METADATA.encode(), 0o644),
    f"{INFO}/WHEEL": (WHEEL.encode(), 0o644),
    f"{INFO}/licenses/LICENSE": (pathlib.Path("LICENSE").read_bytes(), 0o644),
}


def record(path, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


lines = [record(path, data) for path, (data, _) in FILES.items()]
FILES[f"{INFO}/RECORD"] = ("".join([*lines, f"{INFO}/RECORD,,\n"]).encode(), 0o644)
name = f"ecr_cli-{version}-py3-none-{'.'.join(TAGS)}.whl"
with zipfile.ZipFile(pathlib.Path(output, name), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
    for path, (data, mode) in FILES.items():
        entry = zipfile.ZipInfo(path, DATE)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100000 | mode) << 16
        wheel.writestr(entry, data)
