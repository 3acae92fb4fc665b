# The Windows archive under wine: a drive's letter and backslashes in every path, the embedded ECR, the helper, login.
# shellcheck shell=bash
wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || true)
archive=$dist/ecr-$version-x86_64-pc-windows-gnu.zip
if [ -z "$wine" ] || [ ! -f "$archive" ]; then
  echo "--  Windows: there is no wine, or no zip"
else
  python3 -m zipfile -e "$archive" "$scratch"
  folder=$scratch/ecr-$version-x86_64-pc-windows-gnu
  # windows PATH: the path as it is called there
  windows() { printf 'Z:%s' "${1//\//\\}"; }
  under_wine() { # PROGRAM ARGUMENT…
    env -i PATH=/usr/bin:/bin HOME="$scratch/wine-home" WINEPREFIX="$scratch/wine" WINEDEBUG=-all \
      ECR_LOCAL_FOLDER="$(windows "$scratch/wine-store")" AWS_EC2_METADATA_DISABLED=true AWS_REGION=us-east-1 \
      AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret AWS_ENDPOINT_URL_ECR=http://127.0.0.1:5744 \
      USERPROFILE="$(windows "$scratch/profile")" "$wine" "$folder/$1" "${@:2}" 2>>"$scratch/wine.log"
  }
  mkdir -p "$scratch/wine-home" "$scratch/profile"
  [ "$(under_wine ecr.exe --version)" = "ecr $version"$'\r' ] || failed "Windows: --version: $(tail -3 "$scratch/wine.log")"
  printf '{"Version":"2012-10-17","Statement":[]}' >"$scratch/policy.json"

  under_wine ecr.exe --local create-repository --repository-name demo/hello >/dev/null
  under_wine ecr.exe --local push "$(windows "$PWD/examples/sample-image")" demo/hello:1.0 >/dev/null
  under_wine ecr.exe --local pull demo/hello:1.0 "$(windows "$scratch/wine-pulled")" >/dev/null
  diff -r examples/sample-image "$scratch/wine-pulled" || failed "Windows: what was pulled differs"
  under_wine ecr.exe --local pull demo/hello:1.0 "$(windows "$scratch/wine-pulled.tar")" >/dev/null
  under_wine ecr.exe --local push "$(windows "$scratch/wine-pulled.tar"):1.0" demo/hello:2.0 >/dev/null
  under_wine ecr.exe --local put-registry-scanning-configuration --scan-type BASIC --rules "file://$(windows "$scratch/rules.json")" \
    >/dev/null && failed "Windows: a file that is not there was read"
  echo '[]' >"$scratch/rules.json"
  under_wine ecr.exe --local put-registry-scanning-configuration --scan-type BASIC --rules "file://$(windows "$scratch/rules.json")" \
    >/dev/null || failed "Windows: file:// with a drive's letter"
  tags=$(under_wine ecr.exe --local list-images --repository-name demo/hello --query 'imageIds[?imageTag].imageTag' --output text)
  [ "$tags" = "1.0	2.0"$'\r' ] || failed "Windows: tags are $tags"
  code=0
  under_wine ecr.exe describe-images >/dev/null || code=$?
  [ "$code" = 252 ] || failed "Windows: wrong usage ends with $code"
  held "Windows under wine: --version, push and pull with drive letters, archives, file://, line ends, exit codes"

  host=123456789012.dkr.ecr.us-east-1.amazonaws.com
  answer=$(echo "$host" | under_wine docker-credential-ecr-login.exe get)
  grep -q '"Username":"AWS"' <<<"$answer" || failed "Windows: the helper said $answer"
  # Each password of the embedded ECR is another one.
  again=$(echo "$host" | under_wine docker-credential-ecr-login.exe get)
  [ "$again" = "$answer" ] || failed "Windows: the helper's cache is not used"
  under_wine ecr.exe login "$host" >/dev/null || failed "Windows: login: $(tail -3 "$scratch/wine.log")"
  grep -q "$host" "$scratch/profile/.docker/config.json" || failed "Windows: login wrote nothing"
  held "Windows under wine: credential helper cold and from its cache, login"
fi
