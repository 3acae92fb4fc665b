#!/bin/sh
# Builds ecr and does its main job on the embedded ECR, with no AWS account: creates a repository, pushes the
# multi-architecture sample image through ECR's layer API, shows it, pulls it back and compares every byte.
set -eu
cd "$(dirname "$0")/.."

ecr=${ECR:-} # a test names the binary that it has built
if [ -z "$ecr" ]; then
    cargo build --release --locked
    ecr=target/release/ecr
fi
tour=$(mktemp -d)
trap 'rm -rf "$tour"' EXIT INT TERM
export ECR_LOCAL_FOLDER="$tour/store"

show() {
    printf '\n$ ecr'
    for word; do
        case $word in
            *[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    echo
    "$ecr" "$@"
}

show --local create-repository --repository-name demo/hello --query repository.repositoryUri --output text
show --local push examples/sample-image demo/hello:1.0
show --local describe-images --repository-name demo/hello --output table \
    --query 'imageDetails[].{tags: imageTags[0], type: imageManifestMediaType, bytes: imageSizeInBytes}'
show --local images demo/hello
show --local pull demo/hello:1.0 "$tour/pulled"

printf '\n$ diff -r examples/sample-image %s\n' "$tour/pulled"
diff -r examples/sample-image "$tour/pulled"
echo "The image came back byte for byte."
