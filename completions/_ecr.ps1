# Completion of ecr in PowerShell: ecr completions powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName ecr -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or $_.Extent.Text -ne $wordToComplete } |
        ForEach-Object { $_.Extent.Text })
    $rest = @($words | Select-Object -Skip 1)
    # An empty word is lost on its way to a program in older versions, so the current one goes with a mark before it.
    & $words[0] complete --marked -- @rest "=$wordToComplete" 2>$null | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
