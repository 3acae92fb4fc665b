# Completion of ecr in bash: source <(ecr completions bash)

_ecr() {
    local line="${COMP_LINE:0:COMP_POINT}" words current head candidate
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    # Bash breaks words at these, and wants only what comes after the last of them.
    head="${current%"${current##*[:=]}"}"
    [[ $COMP_WORDBREAKS == *:* || $head == *=* ]] || head=""
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        [[ -n $candidate ]] && COMPREPLY+=("${candidate#"$head"}")
    done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:/] ]] && compopt -o nospace
    return 0
}

complete -o bashdefault -o default -F _ecr ecr
