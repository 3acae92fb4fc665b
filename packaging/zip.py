"""A zip of a folder with sorted names and the time of SOURCE_DATE_EPOCH:  zip.py OUTPUT FOLDER"""

import os
import pathlib
import sys
import time
import zipfile

output, folder = sys.argv[1:]
date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            entry = zipfile.ZipInfo(str(path), date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = path.stat().st_mode << 16
            archive.writestr(entry, path.read_bytes())
