# Completion of ecr in elvish: eval (ecr completions elvish | slurp)

use str

set edit:completion:arg-completer[ecr] = {|@words|
    try {
        (external $words[0]) complete -- (all $words[1..]) 2>/dev/null | from-lines | each {|line|
            var value @about = (str:split "\t" $line)
            edit:complex-candidate $value &display=(str:join "  " [$value $@about])
        }
    } catch { nop }
}
