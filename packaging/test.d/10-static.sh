# Static binaries: nothing to load, small, and running in folders that have less and less.
# shellcheck shell=bash
for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
  [ -f "$dist/ecr-$version-$target.tar.gz" ] || { echo "--  $target is not built"; continue; }
  binary=$(unpack $target)/ecr
  size=$(stat -c %s "$binary")
  ! readelf -d "$binary" 2>/dev/null | grep -q NEEDED || failed "$target loads a library"
  [ "${PROFILE:-release}" = dev ] || [ "$size" -le 16777216 ] || failed "$target has $size bytes"
  held "$target: static, $size bytes"
done

native=$(native)
serve_tls "$native"
ECR_LOCAL_FOLDER=$scratch/login-store "$native" local serve --port 5744 >"$scratch/login.log" 2>&1 &
children+=($!)
wait_for "$scratch/login.log" 5744

mkdir -p "$scratch/empty"
cp "$native" "$scratch/empty/ecr"
try_in "$scratch/empty" "a folder with nothing but the binary"
mkdir -p "$scratch/busybox/bin"
cp /bin/busybox "$scratch/busybox/bin/" && cp "$native" "$scratch/busybox/ecr"
chroot "$scratch/busybox" /bin/busybox --install -s /bin
try_in "$scratch/busybox" "busybox"
for suite in bullseye sid; do
  root=$(debian $suite)
  cp "$native" "$root/ecr"
  try_in "$root" "Debian $suite"
done

if [ "$(uname -m)" = x86_64 ] && [ -f "$dist/ecr-$version-aarch64-unknown-linux-musl.tar.gz" ]; then
  mkdir -p "$scratch/arm"
  cp "$(command -v qemu-aarch64-static)" "$scratch/arm/qemu"
  cp "$(unpack aarch64-unknown-linux-musl)/ecr" "$scratch/arm/ecr"
  try_in "$scratch/arm" "aarch64 under qemu" /qemu
fi
