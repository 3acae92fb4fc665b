# The container image: pushed by ecr to the embedded ECR, pulled, unpacked and run.
# shellcheck shell=bash
native=$(native)
export ECR_LOCAL_FOLDER=$scratch/store
"$native" --local create-repository --repository-name ecr-cli/ecr >/dev/null
"$native" --local push "$dist/ecr-$version-image.tar" "ecr-cli/ecr:$version" >/dev/null 2>&1
"$native" --local pull "ecr-cli/ecr:$version" "$scratch/image" --platform linux/amd64 >/dev/null 2>&1
mkdir -p "$scratch/unpacked"
python3 - "$scratch/image" "$scratch/unpacked" <<'PYTHON'
import json, pathlib, sys, tarfile

layout, out = map(pathlib.Path, sys.argv[1:])
blob = lambda digest: layout / "blobs" / digest.replace(":", "/")
manifest = json.loads((layout / "index.json").read_text())["manifests"][0]
while "manifests" in (value := json.loads(blob(manifest["digest"]).read_text())):
    manifest = value["manifests"][0]
for layer in value["layers"]:
    tarfile.open(blob(layer["digest"])).extractall(out)
PYTHON
chroot "$scratch/unpacked" /ecr --version | grep -q "ecr $version" || failed "the image's ecr"
[ -s "$scratch/unpacked/etc/ssl/certs/ca-certificates.crt" ] || failed "the image has no CA bundle"
held "container image: pushed, pulled, runs from scratch"
