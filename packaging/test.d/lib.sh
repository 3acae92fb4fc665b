# What the parts of packaging/test share. Sourced with: version, dist, roots, scratch, children.
# shellcheck shell=bash

held() { printf 'ok  %s\n' "$*"; }
failed() { printf 'NOT %s\n' "$*" >&2; exit 1; }

# unpack TARGET: prints the folder with that archive's files
unpack() {
  [ -d "$scratch/ecr-$version-$1" ] || tar -xzf "$dist/ecr-$version-$1.tar.gz" -C "$scratch"
  echo "$scratch/ecr-$version-$1"
}

# native: prints the binary of this machine
native() { echo "$(unpack "$(uname -m)-unknown-linux-musl")/ecr"; }

# wait_for FILE PATTERN: until the pattern is in the file, ten seconds at most
wait_for() {
  for _ in $(seq 100); do
    grep -q "$2" "$1" 2>/dev/null && return
    sleep 0.1
  done
  failed "$1 never had $2: $(cat "$1")"
}

# debian SUITE: prints a root folder of that Debian, made once
debian() {
  local root=$roots/$1 mirror
  if [ ! -e "$root/.done" ]; then
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list* 2>/dev/null | head -1 | tr -d ' ')
    mirror=${mirror:-http://deb.debian.org/debian}
    rm -rf "$root"
    debootstrap --variant=minbase "$1" "$root" "$mirror" >"$roots/$1.log" 2>&1 || failed "debootstrap $1: see $roots/$1.log"
    touch "$root/.done"
  fi
  echo "$root"
}

# serve_tls BINARY: starts an embedded ECR with TLS on port 5743 as registry.test, with a CA of its own and an image in it
serve_tls() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca.test -keyout "$scratch/ca.key" -out "$scratch/ca.pem" \
    -addext basicConstraints=critical,CA:TRUE 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=registry.test -keyout "$scratch/tls.key" -out "$scratch/tls.csr" 2>/dev/null
  printf 'subjectAltName=DNS:registry.test,DNS:localhost,IP:127.0.0.1' >"$scratch/tls.ext"
  openssl x509 -req -in "$scratch/tls.csr" -CA "$scratch/ca.pem" -CAkey "$scratch/ca.key" -CAcreateserial -days 2 \
    -extfile "$scratch/tls.ext" -out "$scratch/tls.pem" 2>/dev/null
  export ECR_LOCAL_FOLDER=$scratch/store
  "$1" --local create-repository --repository-name team/app >/dev/null
  "$1" --local push examples/sample-image team/app:1.0 >/dev/null 2>&1
  "$1" local serve --port 5743 --hostname registry.test --anonymous --tls-certificate "$scratch/tls.pem" \
    --tls-key "$scratch/tls.key" >"$scratch/serve.log" 2>&1 &
  children+=($!)
  wait_for "$scratch/serve.log" 5743
}

# try_in ROOT NAME [EMULATOR]: --version, the main job and the helper in a root folder that has the binary as /ecr
try_in() {
  local root=$1 name=$2 chroot; chroot=$(command -v chroot)
  local run=("$chroot" "$1" ${3:+"$3"} /ecr)
  local clean=(env -i HOME=/home PATH=/ AWS_EC2_METADATA_DISABLED=true)
  rm -rf "$root/home" "$root/tour" && mkdir -p "$root/home" "$root/tour" "$root/etc" "$root/tmp"
  cp -r examples/sample-image "$root/tour/image"
  cp "$scratch/ca.pem" "$root/tour/ca.pem"
  grep -q registry.test "$root/etc/hosts" 2>/dev/null || echo "127.0.0.1 registry.test" >>"$root/etc/hosts"

  "${clean[@]}" "${run[@]}" --version | grep -q "ecr $version" || failed "$name: --version"
  "${clean[@]}" "${run[@]}" --local create-repository --repository-name demo/hello >/dev/null
  "${clean[@]}" "${run[@]}" --local push /tour/image demo/hello:1.0 >/dev/null 2>&1
  "${clean[@]}" "${run[@]}" --local pull demo/hello:1.0 /tour/pulled >/dev/null 2>&1
  diff -r "$root/tour/image" "$root/tour/pulled" || failed "$name: what was pulled differs"
  "${clean[@]}" SSL_CERT_FILE=/tour/ca.pem "${run[@]}" copy docker://registry.test:5743/team/app:1.0 /tour/tls >/dev/null 2>&1 ||
    failed "$name: no pull over TLS by host name"
  diff -r "$root/tour/image/blobs" "$root/tour/tls/blobs" || failed "$name: what came over TLS differs"
  if [ -x "$root/bin/sh" ]; then
    cp -r examples "$root/tour/examples"
    "${clean[@]}" PATH=/bin:/usr/bin ECR=/ecr "$chroot" "$root" sh /tour/examples/tour.sh >"$scratch/tour.log" 2>&1 ||
      failed "$name: examples/tour.sh: $(tail -5 "$scratch/tour.log")"
  fi

  ln -sf ecr "$root/docker-credential-ecr-login"
  local answer
  answer=$(echo 123456789012.dkr.ecr.us-east-1.amazonaws.com | "${clean[@]}" AWS_ACCESS_KEY_ID=AKIDEXAMPLE \
    AWS_SECRET_ACCESS_KEY=secret AWS_ENDPOINT_URL_ECR=http://127.0.0.1:5744 \
    "$chroot" "$root" ${3:+"$3" -0 docker-credential-ecr-login} /docker-credential-ecr-login get)
  grep -q '"Username":"AWS"' <<<"$answer" || failed "$name: the credential helper said $answer"
  held "$name: --version, push and pull, TLS by host name, credential helper"
}
