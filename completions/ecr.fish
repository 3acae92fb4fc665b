# Completion of ecr in fish: ecr completions fish | source

function __ecr_complete
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    set --local current (commandline --current-token --cut-at-cursor)
    $words[1] complete -- $words[2..-1] "$current" 2>/dev/null
end

complete --command ecr --arguments '(__ecr_complete)'
