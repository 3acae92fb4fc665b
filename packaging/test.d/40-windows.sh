# The Windows archive under wine: a drive's letter and backslashes in every path, the embedded ECR, the helper, login.
# shellcheck shell=bash
wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || true)
archive=$dist/ecr-$version-x86_64-pc-windows-gnu.zip
folder=$scratch/ecr-$version-x86_64-pc-windows-gnu
endpoint=http://127.0.0.1:5746 region=us-east-1

# windows PATH: the path as it is called there
windows() { printf 'Z:%s' "${1//\//\\}"; }

# under_wine PROGRAM ARGUMENT…: runs a program of the archive, or one of Windows
under_wine() {
  local program=$1
  [ ! -e "$folder/$1" ] || program=$folder/$1
  env -i PATH=/usr/bin:/bin HOME="$scratch/wine-home" WINEPREFIX="$scratch/wine" WINEDEBUG=-all \
    ECR_LOCAL_FOLDER="$(windows "$scratch/wine-store")" AWS_EC2_METADATA_DISABLED=true ${region:+"AWS_REGION=$region"} \
    AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret AWS_ENDPOINT_URL_ECR="$endpoint" \
    "$wine" "$program" "${@:2}" 2>>"$scratch/wine.log"
}

# exit_code_of COMMAND…: prints how it ended
exit_code_of() { local code=0; "$@" >/dev/null || code=$?; echo "$code"; }

# process_of COMMAND-LINE: the number of the process that runs a program of the archive, which is a grandchild of this one
process_of() { pgrep -f "^$folder/$1" || failed "Windows: $1 does not run"; }

# add_missing_library: gives a wine that has no bcryptprimitives.dll the one function of it that programs of Rust import
add_missing_library() {
  [ -z "$(find /usr/lib /opt -name bcryptprimitives.dll -path '*wine*' -print -quit 2>/dev/null)" ] || return 0
  printf '%s\n' '__declspec(dllimport) unsigned char SystemFunction036(void *, unsigned long);' \
    '__declspec(dllexport) int ProcessPrng(unsigned char *buffer, unsigned long long length) {' \
    '  return SystemFunction036(buffer, (unsigned long)length);' '}' >"$scratch/prng.c"
  x86_64-w64-mingw32-gcc -shared -o "$folder/bcryptprimitives.dll" "$scratch/prng.c" -ladvapi32
}

try_commands() {
  [ "$(under_wine ecr.exe --version)" = "ecr $version"$'\r' ] || failed "Windows: --version: $(tail -3 "$scratch/wine.log")"
  printf '#!/bin/sh\n' >"$scratch/ecr-under-wine"
  {
    echo "export WINEPREFIX='$scratch/wine' HOME='$scratch/wine-home' WINEDEBUG=-all AWS_EC2_METADATA_DISABLED=true"
    echo "exec '$wine' '$folder/ecr.exe' \"\$@\""
  } >>"$scratch/ecr-under-wine"
  chmod +x "$scratch/ecr-under-wine"
  ECR=$scratch/ecr-under-wine sh examples/tour.sh >"$scratch/tour.log" 2>&1 ||
    failed "Windows: examples/tour.sh: $(tail -5 "$scratch/tour.log")"
  held "Windows under wine: --version, the tour"
}

try_paths() {
  under_wine ecr.exe --local create-repository --repository-name demo/hello >/dev/null
  under_wine ecr.exe --local push "$(windows "$PWD/examples/sample-image")" demo/hello:1.0 >/dev/null
  under_wine ecr.exe --local pull demo/hello:1.0 "$(windows "$scratch/wine-pulled")" >/dev/null
  diff -r examples/sample-image "$scratch/wine-pulled" || failed "Windows: what was pulled differs"
  under_wine ecr.exe --local pull demo/hello:1.0 "$(windows "$scratch/wine-pulled.tar")" >/dev/null
  under_wine ecr.exe --local push "$(windows "$scratch/wine-pulled.tar"):1.0" demo/hello:2.0 >/dev/null
  (cd "$scratch" && under_wine ecr.exe --local push '.\wine-pulled.tar:1.0' demo/hello:3.0 >/dev/null)
  local rules
  rules=file://$(windows "$scratch/rules.json")
  local configure=(under_wine ecr.exe --local put-registry-scanning-configuration --scan-type BASIC --rules "$rules")
  [ "$(exit_code_of "${configure[@]}")" = 252 ] || failed "Windows: a file that is not there was read"
  echo '[]' >"$scratch/rules.json"
  [ "$(exit_code_of "${configure[@]}")" = 0 ] || failed "Windows: file:// with a drive's letter"
  held "Windows under wine: folders and archives with drive letters and backslashes, file://C:\\…"
}

# What is printed ends its lines as Python's standard output does there; what a pipe hands on by the byte does not.
try_conventions() {
  local tags
  tags=$(under_wine ecr.exe --local list-images --repository-name demo/hello --query 'imageIds[?imageTag].imageTag' --output text)
  [ "$tags" = "1.0	2.0	3.0"$'\r' ] || failed "Windows: tags are $tags"
  [ "$(under_wine ecr.exe --local describe-repositories | grep -vc $'\r$')" = 0 ] || failed "Windows: a line of JSON ends otherwise"
  [ "$(exit_code_of under_wine ecr.exe describe-images)" = 252 ] || failed "Windows: wrong usage"
  [ "$(exit_code_of under_wine ecr.exe --local describe-images --repository-name nope)" = 254 ] || failed "Windows: an error of ECR"
  [ "$(endpoint=http://127.0.0.1:9 exit_code_of under_wine ecr.exe describe-repositories)" = 255 ] || failed "Windows: no connection"
  [ "$(region="" exit_code_of under_wine ecr.exe describe-repositories)" = 253 ] || failed "Windows: no region"

  python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 5747)); held = s.accept(); time.sleep(60)' &
  children+=($!)
  (endpoint=http://127.0.0.1:5747 exit_code_of under_wine ecr.exe describe-repositories >"$scratch/interrupted") &
  local waiting=$!
  sleep 3
  # wine makes Ctrl-C of it
  kill -INT "$(process_of "ecr.exe describe-repositories")"
  wait "$waiting"
  [ "$(cat "$scratch/interrupted")" = 130 ] || failed "Windows: Ctrl-C ends with $(cat "$scratch/interrupted")"
  held "Windows under wine: line ends, exit codes 130, 252, 253, 254, 255"
}

try_logins() {
  local host=123456789012.dkr.ecr.us-east-1.amazonaws.com answer again
  # It is ended with the rest, which is no failure.
  (trap - ERR; under_wine ecr.exe local serve --port 5746) >"$scratch/wine-serve.log" &
  wait_for "$scratch/wine-serve.log" 127.0.0.1:5746
  children+=("$(process_of "ecr.exe local serve")")
  answer=$(echo "$host" | under_wine docker-credential-ecr-login.exe get)
  grep -q '"Username":"AWS"' <<<"$answer" || failed "Windows: the helper said $answer"
  # Each password of the embedded ECR is another one.
  again=$(echo "$host" | under_wine docker-credential-ecr-login.exe get)
  [ "$again" = "$answer" ] || failed "Windows: the helper's cache is not used"
  under_wine cmd /c "set USERPROFILE=$(windows "$scratch/profile")&& $(windows "$folder/ecr.exe") login $host" >/dev/null ||
    failed "Windows: login: $(tail -3 "$scratch/wine.log")"
  grep -q "$host" "$scratch/profile/.docker/config.json" || failed "Windows: login wrote nothing"
  grep -qF "$(windows "$scratch/profile/.docker/config.json")" "$scratch/wine.log" || failed "Windows: login does not say where"
  held "Windows under wine: embedded ECR, credential helper cold and from its cache, login"
}

if [ -z "$wine" ] || [ ! -f "$archive" ]; then
  echo "--  Windows: there is no wine, or no zip"
else
  python3 -m zipfile -e "$archive" "$scratch"
  mkdir -p "$scratch/wine-home" "$scratch/profile"
  add_missing_library
  try_commands
  try_paths
  try_conventions
  try_logins
fi
