# Debian package, wheel, installer.
# shellcheck shell=bash
root=$(debian sid)
cp "$dist"/ecr-cli_"$version"_amd64.deb "$root/tmp/"
chroot "$root" dpkg --install "/tmp/ecr-cli_${version}_amd64.deb" >"$scratch/dpkg.log" 2>&1 || failed "dpkg: $(cat "$scratch/dpkg.log")"
chroot "$root" ecr --version | grep -q "ecr $version" || failed "the package's ecr"
[ "$(chroot "$root" readlink /usr/bin/docker-credential-ecr-login)" = ecr ] || failed "the package has no credential helper"
chroot "$root" dpkg --purge ecr-cli >/dev/null 2>&1
[ -z "$(chroot "$root" find /usr -name '*ecr*' -newer /tmp/ecr-cli_"${version}"_amd64.deb)" ] || failed "the package leaves files"
held "Debian package: installs, runs, is removed without a trace"

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$dist" ecr-cli
"$scratch/venv/bin/ecr" --version | grep -q "ecr $version" || failed "the wheel's ecr"
held "wheel: pip install ecr-cli"

release=$scratch/releases/download/v$version
mkdir -p "$release" "$scratch/releases/latest"
cp "$dist"/*.tar.gz "$dist/SHA256SUMS" "$release/"
ln -s "../download/v$version" "$scratch/releases/latest/download"
python3 -m http.server --bind 127.0.0.1 --directory "$scratch/releases" 5745 >"$scratch/http.log" 2>&1 &
children+=($!)
for _ in $(seq 50); do curl -fs http://127.0.0.1:5745/ >/dev/null && break; sleep 0.1; done
for arguments in "" "--version $version" "--version v$version"; do
  # shellcheck disable=SC2086
  HOME=$scratch/user sh packaging/install.sh --base-url http://127.0.0.1:5745 $arguments >"$scratch/install.log" 2>&1 ||
    failed "install.sh $arguments: $(cat "$scratch/install.log")"
  "$scratch/user/.local/bin/ecr" --version | grep -q "ecr $version" || failed "install.sh $arguments: no ecr"
done
env -u HOME sh packaging/install.sh --base-url http://127.0.0.1:5745 --prefix "$scratch/prefix" >"$scratch/install.log" 2>&1 ||
  failed "install.sh --prefix without HOME: $(cat "$scratch/install.log")"
sed -i 's/^[0-9a-f]/x/; s/^x/0/' "$release/SHA256SUMS"
sed -i 's/^\(.\{8\}\)..../\10000/' "$release/SHA256SUMS"
if HOME=$scratch/other sh packaging/install.sh --base-url http://127.0.0.1:5745 >"$scratch/install.log" 2>&1; then
  failed "install.sh took an archive with a wrong checksum"
fi
grep -q "nothing was installed" "$scratch/install.log" || failed "install.sh: $(cat "$scratch/install.log")"
[ ! -e "$scratch/other/.local/bin/ecr" ] || failed "install.sh installed an archive with a wrong checksum"
held "install.sh: latest, a version, a prefix without HOME, a wrong checksum"
